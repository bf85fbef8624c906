from ropewatch.nvinfer_keys import (
    CLASS_KEYS,
    INT_MAX,
    PROPERTY_KEYS,
    Effect,
    Key,
    Kind,
    Release,
)


def test_every_default_is_a_value_that_the_key_accepts_or_means_absence() -> None:
    # topk's -1 is built in: a file may only say 0 or more.
    refused = {
        name
        for table in (PROPERTY_KEYS, CLASS_KEYS)
        for name, key in table.items()
        if key.default not in (None, ()) and not key.accepts(key.default)
    }

    assert refused == {"topk"}


def test_the_defaults_that_surprise_are_nvinfers() -> None:
    assert PROPERTY_KEYS["secondary-reinfer-interval"].default == INT_MAX
    assert PROPERTY_KEYS["scaling-filter"].default == 6
    assert PROPERTY_KEYS["cluster-mode"].default == 0
    assert CLASS_KEYS["pre-cluster-threshold"].default == 0.2
    assert CLASS_KEYS["minBoxes"].default == 0


def test_a_range_is_inclusive_and_holds_for_each_value_of_a_list() -> None:
    batch, iou = PROPERTY_KEYS["batch-size"], CLASS_KEYS["nms-iou-threshold"]

    assert [batch.accepts(value) for value in (0, 1, 1024, 1025)] == [False, True, True, False]
    assert [iou.accepts(value) for value in (-0.1, 0.0, 1.0, 1.1)] == [False, True, True, False]
    assert not iou.accepts(float("nan"))
    assert not PROPERTY_KEYS["infer-dims"].accepts((3, 0, 640))
    assert not PROPERTY_KEYS["infer-dims"].accepts((3, 640))


def test_wanted_says_kind_range_and_count() -> None:
    assert PROPERTY_KEYS["batch-size"].wanted == "an integer from 1 to 1024"
    assert PROPERTY_KEYS["process-mode"].wanted == "one of 1, 2"
    assert CLASS_KEYS["topk"].wanted == "an integer of 0 or more"
    assert Key("x", Kind.INTS, None, "", counts=(3,)).wanted.endswith("(3 of them)")


def test_keys_that_do_nothing_on_the_device_are_marked() -> None:
    assert PROPERTY_KEYS["workspace-size"].effect is Effect.NONE
    assert PROPERTY_KEYS["network-mode"].effect is Effect.BUILD
    assert PROPERTY_KEYS["net-scale-factor"].effect is Effect.RUN


def test_every_key_has_its_name_and_a_meaning() -> None:
    for table in (PROPERTY_KEYS, CLASS_KEYS):
        for name, key in table.items():
            assert key.name == name
            assert key.meaning
            assert set(key.modes) <= set("PS")
            assert set(key.networks) <= set("DCGIO")


def test_a_release_has_a_key_has_not_or_nobody_knows() -> None:
    keys = ("batch-size", "warmup-engine", "ip-tensor-file")
    old, new = Release.DS_7_1, Release.DS_9_1

    assert [PROPERTY_KEYS[name].since.has(old) for name in keys] == [True, False, None]
    assert [PROPERTY_KEYS[name].since.has(new) for name in keys] == [True, True, True]
