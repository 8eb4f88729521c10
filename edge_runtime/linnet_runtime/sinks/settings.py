"""The tables of the sinks in a configuration file. A sink is opened where its table is there. Internal."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
_Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
_Id = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]*$", max_length=64)]


class JsonLinesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[json_lines]``: a line of JSON for each result and event on standard output."""


class TerminalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[terminal]``: a view that is drawn again and again, for a person."""

    labels: _Count = 5
    """The most probable labels that have a bar."""


class MqttSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[mqtt]``: states, events and pictures to a broker, with Home Assistant's device discovery."""

    url: str
    """``mqtt://[user@]HOST[:1883]``, or ``mqtts://[user@]HOST[:8883]`` for TLS. The environment has the password:
    ``LINNET_MQTT_PASSWORD``."""
    id: _Id = ""
    """Names this device in topics. Empty: the name of the machine."""
    interval_s: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    """Seconds between two states with the same label; a new label is published at once. 0: every result."""
    discovery: bool = True
    """Whether Home Assistant discovers the device by itself."""
    discovery_prefix: Annotated[str, msgspec.Meta(pattern=r"^[^#+\x00]+$")] = "homeassistant"
    """The first part of the discovery topic."""
    ca_file: str = ""
    """Certificates of the authorities to trust, for ``mqtts://``. Empty: those of the system."""
    keep_events: str = ""
    """A file that keeps events until they are delivered. They then survive a restart, and also a process that is
    killed. Empty: memory."""


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[metrics]``: figures for Prometheus at ``http://HOST:PORT/metrics``."""

    port: _Port
    """The TCP port."""
    host: str = "127.0.0.1"
    """The address to listen at. 127.0.0.1 is this machine only."""


class WebhookSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[webhook]``: a POST of JSON for each event. A secret in ``LINNET_WEBHOOK_SECRET`` signs them."""

    url: str
    """An ``http://`` or ``https://`` address."""
    results: bool = False
    """Whether every result is posted too."""
    timeout_s: _Positive = 5.0
    """Seconds until a server that does not answer has failed."""
    tries: _Count = 3
    """How often an item is posted in a row, with a wait that doubles. A result is lost then; an event is kept for
    later."""
    keep_events: str = ""
    """A file that keeps events until they are delivered. Empty: memory."""


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[log]``: results and events as lines of a file."""

    path: str
    """``NAME.jsonl`` or ``NAME.csv``."""
    results: bool = True
    """Whether results are written, or events only."""
    max_mb: _Positive = 10.0
    """The size in megabytes at which a file is renamed to ``NAME.1.jsonl`` and a new one begins."""
    files: _Count = 5
    """The most files, the current one included. The oldest is removed."""


class VideoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[video]``: the frames with their labels drawn, as video files ``NAME-0001.SUFFIX``."""

    path: str
    """``NAME.avi`` (Motion JPEG) or ``NAME.mp4`` (MPEG-4). Each file has a number after its name."""
    fps: _Positive = 10.0
    """Frames a second at which the file is played. Each result is one frame."""
    minutes: _Positive = 10.0
    """The playing time at which a new file begins."""
    files: _Count = 12
    """The most files. The oldest is removed."""


class SnapshotSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[snapshots]``: uncertain and changed frames as ``FOLDER/LABEL/TIME.jpg``, ready for labelling."""

    folder: str
    """The folder; it is made where it is missing."""
    below: _Probability = 0.6
    """A frame whose probability is below this is uncertain. 0: only changes are kept."""
    changes: bool = True
    """Whether the frame of each event is kept too."""
    max_files: _Count = 1000
    """The most pictures. The oldest is removed."""
    max_mb: _Positive = 500.0
    """The most megabytes. The oldest picture is removed."""


class SinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All tables of sinks. None: the sink is not opened."""

    json_lines: JsonLinesSettings | None = None
    """Lines of JSON on standard output."""
    terminal: TerminalSettings | None = None
    """A view for a person on standard output."""
    mqtt: MqttSettings | None = None
    """An MQTT broker, and Home Assistant."""
    metrics: MetricsSettings | None = None
    """Prometheus."""
    webhook: WebhookSettings | None = None
    """An HTTP server that receives events."""
    log: LogSettings | None = None
    """A file of lines."""
    video: VideoSettings | None = None
    """Video files."""
    snapshots: SnapshotSettings | None = None
    """Pictures for labelling."""
    sink: dict[str, dict[str, Any]] = {}
    """``[sink.NAME]``: the settings of plug-ins, by their names."""


TableName = Literal["json_lines", "terminal", "mqtt", "metrics", "webhook", "log", "video", "snapshots"]
