"""gunicorn for the gateway: the only place that knows its options. Started by deploy/launch.py."""

import logging
import os
from pathlib import Path

from shared.environment import load
from shared.logs import open_log
from shared.processes import die_with_parent, forbid_core_files, gateway_processes

settings, _ = load()

worker_class = "gateway.server.GatewayWorker"
workers = gateway_processes(settings.gateway_processes)
# The launcher binds the socket itself and hands it over: a port in use is told at once.
bind = [f"fd://{settings.listen_fd}"] if settings.listen_fd >= 0 else [f"{settings.host}:{settings.port}"]
backlog = 2048
# Longer than the idle time of the usual load balancers (60 s), so that they close first.
keepalive = settings.keep_alive
graceful_timeout = int(settings.drain_delay) + settings.stop_grace + 5
# A heartbeat of the process, not a limit on requests: a process that stands still so long is replaced.
timeout = 30
preload_app = False
control_socket_disable = True
loglevel = "warning"
proc_name = "face-api-gateway"


def on_starting(_server: object) -> None:
    """The master ends with the launcher, and logs like every other part."""
    open_log(settings, "gateway master")
    if settings.listen_fd >= 0:
        die_with_parent(os.getppid())
    forbid_core_files()


def post_fork(server: object, _worker: object) -> None:
    """Gateway processes end with the master, and log under a name of their own from the start."""
    open_log(settings, "gateway")
    die_with_parent(server.pid)  # type: ignore[attr-defined]


def child_exit(server: object, worker: object) -> None:
    """A process that is gone, however it ended, leaves its counts and no file of its own."""
    from gateway import presence  # not before the first fork: the master needs neither
    from gateway.reporting import metrics_files

    runtime_dir, process = Path(settings.runtime_dir), worker.pid  # type: ignore[attr-defined]
    try:
        presence.withdraw(runtime_dir, server.pid, process)  # type: ignore[attr-defined]
        metrics_files.fold(metrics_files.folder(runtime_dir), process)
    except Exception:  # else gunicorn would end with all its other processes
        logging.getLogger("gunicorn.error").exception("the files of a gateway process that ended are not put in order")
