"""Servers that are started once for all tests of a module."""

import contextlib

from tests.emulation.hospital import Hospital
from tests.emulation.orthanc import running_orthanc
from tests.emulation.rabbitmq import running_rabbitmq
from tests.emulation.store import running_store


@contextlib.contextmanager
def running_servers(folder):
    """Broker, store and PACS, and a function that makes a hospital of them."""
    with (
        running_rabbitmq(folder / "rabbitmq") as url,
        running_store(folder / "store") as store,
        running_orthanc(folder / "orthanc") as pacs,
    ):
        yield Servers(url, store, pacs)


class Servers:
    """Running servers."""

    def __init__(self, url, store, pacs):
        self.url, self.store, self.pacs = url, store, pacs

    @contextlib.contextmanager
    def hospital(self, folder):
        """A hospital with an empty PACS and empty queues."""
        self.pacs.clear()
        running = Hospital(self.store, self.url, self.pacs, folder)
        running.queues.purge()
        try:
            yield running
        finally:
            running.close()
