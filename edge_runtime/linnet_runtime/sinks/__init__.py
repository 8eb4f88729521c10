"""Where results and events go: one file for each kind of sink.

with open_sinks(settings, stream) as sinks:
    sinks.put(result)
"""

from linnet_runtime.sinks.api import Sink, SinkError, Stream
from linnet_runtime.sinks.queued import QueuedSink
from linnet_runtime.sinks.registry import open_sinks
from linnet_runtime.sinks.settings import SinkSettings
from linnet_runtime.sinks.several import Sinks

__all__ = ["QueuedSink", "Sink", "SinkError", "SinkSettings", "Sinks", "Stream", "open_sinks"]
