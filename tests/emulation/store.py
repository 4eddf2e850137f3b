"""The object store: moto's S3 server, and what the services do with it."""

import contextlib
import sys

import boto3

from tests.emulation.processes import free_port, server

BUCKET = "monaideploy"
CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}


@contextlib.contextmanager
def running_store(folder):
    """A store with the bucket, in a process of its own."""
    port = free_port()
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with server(command, folder / "moto.log", [port]):
        yield Store(f"127.0.0.1:{port}")


class Store:
    """One bucket."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.client = boto3.client("s3", endpoint_url=f"http://{endpoint}", **CREDENTIALS)
        self.client.create_bucket(Bucket=BUCKET)

    def put(self, key, content, content_type="application/octet-stream"):
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content, ContentType=content_type)

    def get(self, key):
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def keys(self, prefix):
        """Keys that begin with a prefix, which is no folder: out also lists out2/..."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def exists(self, path):
        """Whether there is an object of this name or below it, as the services verify it."""
        return any(key == path or key.startswith(f"{path.rstrip('/')}/") for key in self.keys(path))

    def storage(self, name, path):
        """A path as messages describe it."""
        return {
            "name": name,
            "endpoint": self.endpoint,
            "credentials": None,
            "bucket": BUCKET,
            "secured_connection": False,
            "relative_root_path": path,
        }
