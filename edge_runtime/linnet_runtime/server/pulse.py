"""Whether the service works, for systemd's watchdog: it restarts a service whose results have stopped."""

from __future__ import annotations

import time

from linnet_runtime.server.board import Board
from linnet_runtime.server.cameras import LiveCameras
from linnet_runtime.server.models import Models

_STUCK_TIMEOUTS = 3  # a request that takes so many times the limit for an answer has blocked its lane


class Pulse:
    """Compares what has been done since the last look."""

    def __init__(self, models: Models, cameras: LiveCameras, board: Board, timeout_s: float) -> None:
        self._models, self._cameras, self._board = models, cameras, board
        self._stuck_s = _STUCK_TIMEOUTS * timeout_s
        self._progress = -1

    def beats(self) -> bool:
        """Whether no lane is stuck, and the cameras have done something since the last call. A camera that is known to
        give no frames is no reason to restart: it is opened again and again anyway.
        """
        now = time.monotonic()
        for model in self._models:
            since = model.lane.working_since if model.lane else None
            if since is not None and now - since > self._stuck_s:
                return False
        if not self._cameras.settings or self._cameras.ended or self._models.first.lane is None:
            return True
        summary = self._cameras.summary()
        # Frames that `when` left out and those that were too old were looked at too.
        done = ("frames_classified", "frames_skipped", "frames_too_old", "source_reopened")
        progress = sum(summary.get(key, 0) for key in done)
        before, self._progress = self._progress, progress
        return progress != before or bool(self._board.troubles())
