"""From a list of devices, ``"coral,npu,cpu"``, to one session, which changes the device when one fails."""

from __future__ import annotations

import logging
from functools import partial

from linnet_devices.api import DeviceError, DeviceUnavailable, LinnetError, OpenOptions, Session, Setting
from linnet_devices.registry import GROUPS, expand, probe
from linnet_runtime.bundle import Bundle
from linnet_runtime.failover.checked import Limits, Wanted, open_checked
from linnet_runtime.failover.rung import Rung
from linnet_runtime.failover.supervisor import SupervisedSession
from linnet_runtime.proof.canary import load_canary
from linnet_runtime.sessions import PrecisionChoice, is_isolated

logger = logging.getLogger("linnet")

AUTO = "auto"
_LAST_RESORT = "cpu"


def open_ladder(
    bundle: Bundle, device: str, *, precision: PrecisionChoice, options: OpenOptions, limits: Limits
) -> Session:
    """Opens a device, the devices of a list with commas, or ``"auto"``: the first of its group that is available and
    passes its canary.

    A list, and every isolated device, becomes a ``SupervisedSession``: accelerators run in separate processes, and
    where one fails the next device of the list continues. With ``"auto"`` that is the CPU.

    Raises:
        DeviceError: an unknown device, one that cannot read the model, or one that fails its canary.
        DeviceUnavailable: none of the devices is available; the error has the reason of each.
        BundleError: a file of the bundle is damaged.
    """
    names = [name.strip() for name in device.split(",")]
    wanted = Wanted(bundle, precision, options, load_canary(bundle), limits)
    if len(names) == 1 and names[0] != AUTO and not is_isolated(names[0]):
        return open_checked(names[0], wanted).session
    if names == [AUTO]:
        return _open_auto(wanted)
    if AUTO in names:
        raise DeviceError(Setting("device"), got="auto in a list", expected="auto alone, or the devices by name")
    return SupervisedSession(device, [_rung(name, wanted) for name in names], limits)


def _rung(name: str, wanted: Wanted) -> Rung:
    """Raises DeviceError for a misspelled name, which would otherwise count as a device that is unavailable."""
    return Rung(name, partial(open_checked, name, wanted), wanted.limits, isolated=is_isolated(name))


def _open_auto(wanted: Wanted) -> Session:
    reasons: list[str | LinnetError] = []
    for name in GROUPS[AUTO]:
        found = probe(name)
        if not found.available:
            if name in expand(_LAST_RESORT):  # most machines lack most accelerators: linnet devices lists them
                reasons.append(f"{name}: {found.reason}. Fix: {found.fix}")
            logger.info("auto: %s is unavailable: %s", name, found.reason)
            continue
        try:
            if not is_isolated(name):
                checked = open_checked(name, wanted)
                logger.info("auto: %s is taken: %s", name, checked.verdict)
                return checked.session
            session = SupervisedSession(AUTO, [_rung(name, wanted), _rung(_LAST_RESORT, wanted)], wanted.limits)
        except DeviceError as error:
            reasons.append(error)
            logger.info("auto: %s is left out: %s", name, error)
            continue
        if reason := session.left_out(name):
            reasons.append(reason)
            session.close()
            continue
        logger.info("auto: %s is taken", name)
        return session
    raise DeviceUnavailable(Setting("device", AUTO), reasons=reasons)
