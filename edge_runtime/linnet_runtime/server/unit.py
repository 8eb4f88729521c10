"""The systemd unit of ``linnet serve``: it may read everything that others may, and write its own folder only."""

from __future__ import annotations

import grp
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from linnet_devices.api import LinnetError, Setting

WATCHDOG_S = 60
_PRIVILEGED_PORTS = 1024
_GROUPS = ("video", "render", "plugdev", "apex", "gpio")

_UNIT = """\
# Written by `linnet service install`.
[Unit]
Description=Linnet: {names}
Wants=network-online.target
After=network-online.target
# A camera may be away for a night: never give up.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
# Signs of life stop when results stop; then the service is started again.
WatchdogSec={watchdog_s}
Restart=always
RestartSec=2
TimeoutStartSec=180
TimeoutStopSec=30
Environment=PYTHONDONTWRITEBYTECODE=1
{credentials}
# A user that exists while the service runs; /var/lib/{name} is its only folder that lasts.
DynamicUser=yes
{groups}StateDirectory={name}
WorkingDirectory=%S/{name}
UMask=0077

# Cameras and accelerators, and no other device.
DevicePolicy=closed
DeviceAllow=char-video4linux rw
DeviceAllow=char-media rw
DeviceAllow=char-dma_heap rw
DeviceAllow=char-usb_device rw
DeviceAllow=char-apex rw
DeviceAllow=char-drm rw
DeviceAllow=char-accel rw
DeviceAllow=char-gpiochip rw

NoNewPrivileges=yes
CapabilityBoundingSet={capabilities}
AmbientCapabilities={capabilities}
ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# Not MemoryDenyWriteExecute: engines compile the model to machine code.

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Service:
    """What the unit runs. All paths are absolute."""

    name: str
    """The unit's name, without ``.service``."""
    bundles: tuple[Path, ...]
    """The bundles, in the order of ``linnet serve``."""
    host: str
    """The address to listen on."""
    port: int
    """The TCP port."""
    config: Path | None = None
    """The configuration file."""
    token_file: Path | None = None
    """The file with the token; systemd reads it as root, and hands it to the service."""
    certificate: Path | None = None
    """The TLS certificate; systemd reads it as the token."""
    key: Path | None = None
    """The certificate's key; systemd reads it as the token."""

    @property
    def secrets(self) -> dict[str, Path]:
        """The files that systemd hands to the service, by the option of ``linnet serve``."""
        files = {"token-file": self.token_file, "certificate": self.certificate, "key": self.key}
        return {option: path for option, path in files.items() if path is not None}


def unit_of(service: Service) -> str:
    """The text of the unit."""
    options = ["--host", service.host, "--port", str(service.port)]
    if service.config is not None:
        options += ["--config", str(service.config)]
    command = [sys.executable, "-m", "linnet_runtime.cli", "serve", *map(str, service.bundles), *options]
    quoted = " ".join(map(_quoted, command))
    for option in service.secrets:
        quoted += f" --{option} %d/{option}"  # %d is the folder of the credentials
    paths = (Path(sys.executable), *service.bundles, *([service.config] if service.config else []))
    groups = _existing(_GROUPS)
    return _UNIT.format(
        name=service.name,
        names=", ".join(path.name.removesuffix(".linnet") for path in service.bundles).replace("%", "%%"),
        command=quoted,
        watchdog_s=WATCHDOG_S,
        credentials="".join(f"LoadCredential={o}:{_escaped(str(p))}\n" for o, p in service.secrets.items()),
        groups=f"SupplementaryGroups={' '.join(groups)}\n" if groups else "",
        capabilities="CAP_NET_BIND_SERVICE" if 0 < service.port < _PRIVILEGED_PORTS else "",
        home="read-only" if any(map(_in_home, paths)) else "yes",
    )


def unreadable(paths: Iterable[Path]) -> list[Path]:
    """The first part of each path that users other than its owner may not read: the service could not either."""
    found = []
    for path in paths:
        for part in (*reversed(path.parents), path):
            mode = part.stat().st_mode
            needed = 0o005 if part.is_dir() else 0o004
            if mode & (needed if part == path else 0o001) != (needed if part == path else 0o001):
                found.append(part)
                break
    return found


def write_unit(path: Path, text: str) -> None:
    """Writes the unit. Raises LinnetError where the folder cannot be written."""
    try:
        path.write_text(text)
    except OSError as error:
        fix = ("run it with sudo", Setting("print", True))
        raise LinnetError(str(path), got=error.strerror, expected="a folder that can be written", fix=fix) from error


def _existing(groups: Sequence[str]) -> list[str]:
    """The groups that this machine has: a unit that names another one does not start."""
    known = {group.gr_name for group in grp.getgrall()}
    return [group for group in groups if group in known]


def _in_home(path: Path) -> bool:
    return any(os.fspath(path).startswith(home) for home in ("/home/", "/root/", "/run/user/"))


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """An argument of ExecStart, whose ``%``, ``$``, quotes and backslashes mean themselves."""
    escaped = _escaped(text).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return escaped if escaped and not set(escaped) & set(" \t'\"\\;") else f'"{escaped}"'
