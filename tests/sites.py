"""Builds the settings of a site for tests, from its sources and the sections that matter."""

from collections.abc import Mapping, Sequence

from ropewatch.settings import SiteSettings


def site(sources: Sequence[Mapping[str, object]], **sections: object) -> SiteSettings:
    return SiteSettings.model_validate(
        {
            "site": "s",
            "box": "b",
            "sources": sources,
            "detector": {"config_file": "/c/pgie.txt"},
            "tracker": {"ll_config_file": "/c/iou.yml"},
            "classifier": {
                "config_file": "/c/sgie.txt",
                "score_label": "unroped",
                "alert_when": "at_or_above",
            },
            "decision": {"threshold": 0.5},
            "mqtt": {"host": "broker"},
            **sections,
        }
    )
