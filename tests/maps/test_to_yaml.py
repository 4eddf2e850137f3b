"""YAML written without a library, read by one."""

import pytest
import yaml

from maps.hosts.to_yaml import to_yaml

CASES = [
    {"a": "text", "b": 3, "c": True, "d": ""},
    {"nvidia.com/gpu": 1, "no": "no", "on": "yes", "12": "0x1F", "~": "null"},
    {"empty": {}, "none": [], "list": [[1, 2], {"x": [{"y": "z"}, "w"]}, "last"]},
    {"text": 'quote " colon: # dash - \\ tab\t line\nend é 日本'},
    ["a", {"b": {"c": ["d"]}}],
]


@pytest.mark.parametrize("data", CASES)
def test_a_reader_gets_back_what_was_written(data):
    assert yaml.safe_load(to_yaml(data)) == data
