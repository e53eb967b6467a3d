"""`python -m tests.rounds.host`: the service of `tests.cluster.stub_host`, with a gateway that follows orders to kill."""

from __future__ import annotations

import sys

import deploy.parts
import deploy.service
from deploy import launch
from deploy.parts import Part
from deploy.runtime_dir import RuntimeDir
from shared.logs import Log
from shared.settings import Settings
from tests.cluster.stub_host import start_pool


async def start_gateway(running: Settings, folder: RuntimeDir, log: Log) -> Part:
    arguments = ["gunicorn", "-c", "deploy/gunicorn.conf.py", "tests.rounds.gateway:create_app()"]
    return await deploy.parts._start("the gateway", arguments, running, [folder.lock, running.listen_fd], log)


if __name__ == "__main__":
    deploy.service.start_pool = start_pool
    deploy.service.start_gateway = start_gateway
    sys.exit(launch.main())
