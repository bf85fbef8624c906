"""What a broker's no means: MQTT 5 reason codes, and what to do about them."""

from typing import Final

SESSION_TAKEN_OVER: Final = 0x8E

# Of a CONNACK. What is not here is tried again like a broker that is absent.
CONNECT_ADVICE: Final = {
    0x81: "see the broker's log",
    0x82: "see the broker's log",
    0x84: "want a broker that speaks MQTT 5",
    0x85: "want a broker that takes client ids of this length",
    0x86: "correct mqtt.username and its password",
    0x87: "correct the credentials or the broker's access list",
    0x8A: "the broker bans this box; ask who runs it",
    0x8C: "want a broker that takes user name and password or a client certificate",
    0x90: "the broker does not allow this box's status topic; correct its access list",
    0x95: "want a broker that takes packets of some kilobytes",
    0x9A: "want a broker that retains messages: states are retained",
    0x9B: "want a broker with QoS 1",
    0x9C: "set mqtt.host to the broker that takes this box",
    0x9D: "set mqtt.host to the broker that takes this box",
}
# Of a PUBACK: not now. Everything else that is no success concerns the message itself.
PUBLISH_LATER: Final = frozenset({0x80, 0x83, 0x91, 0x97})
# Of a DISCONNECT: for what was sent last, not for the connection.
BAD_PACKET: Final = frozenset({0x81, 0x82, 0x90, 0x94, 0x95, 0x99, 0x9A, 0x9B})
