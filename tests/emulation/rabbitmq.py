"""Debian's RabbitMQ as a node of its own: own name, ports, data and epmd, on the loopback interface."""

import contextlib
import os
import subprocess
from pathlib import Path

from tests.emulation.processes import free_port, server

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # that of the PATH insists on the user rabbitmq
VIRTUAL_HOST, USER, PASSWORD = "monaideploy", "monai", "loopback-only"


@contextlib.contextmanager
def running_rabbitmq(folder):
    """URL of a running broker whose files are in a folder."""
    port, distribution, epmd = free_port(), free_port(), free_port()
    for name in ("home", "data", "log"):
        (folder / name).mkdir(parents=True)
    (folder / "enabled_plugins").write_text("[].")
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\ndefault_vhost = {VIRTUAL_HOST}\n"
        f"default_user = {USER}\ndefault_pass = {PASSWORD}\nlog.console = true\ndisk_free_limit.absolute = 50MB\n"
    )
    env = {
        **os.environ,
        "HOME": str(folder / "home"),
        "RABBITMQ_NODENAME": f"map-suite-{port}@localhost",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_PORT": str(epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",
    }
    try:
        with server([str(SERVER)], folder / "rabbitmq.log", [port], env):
            yield f"amqp://{USER}:{PASSWORD}@127.0.0.1:{port}/{VIRTUAL_HOST}"
    finally:
        subprocess.run(["epmd", "-port", str(epmd), "-kill"], env=env, capture_output=True, check=False)
