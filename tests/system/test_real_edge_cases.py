"""Real images that readers stumble over; skipped where the development data is absent."""

import tarfile

import numpy as np
import pytest

from imaging.decode_pixels import decode_frame
from imaging.flatten_frames import frames_of
from imaging.geometry import GeometryPolicy
from imaging.load_study import load_study
from imaging.outcome import Reason, RefusedError
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from tests.system.test_real_studies import DATA

EDGE_CASES = DATA / "dicom_edge_cases"
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not EDGE_CASES.exists(), reason="needs the development data (MAP_SHARED_DATA)"),
]


def test_nine_transfer_syntaxes_of_one_image_give_the_same_values():
    instances = [
        instance for series in load_study(EDGE_CASES / "transfer_syntaxes").series for instance in series.instances
    ]

    images = [decode_frame(frame) for instance in instances for frame in frames_of(instance)]

    assert len(images) == 9
    assert all((image == images[0]).all() for image in images)
    assert images[0].std() > 0


def test_an_enhanced_image_is_a_volume():
    (series,) = load_study(EDGE_CASES / "philips_enhanced_mr").series
    (stack,) = split_series(series)

    volume = to_volume(stack).volume

    assert volume.shape == (12, 256, 256)
    assert volume.spacing == pytest.approx((5.0, 1.0, 1.0), abs=1e-3)


def test_a_tilted_head_is_refused_or_set_upright_and_said(tmp_path):
    with tarfile.open(EDGE_CASES / "gantry_tilt_variable_spacing_ge_ct.tar.xz") as packed:
        packed.extractall(tmp_path, filter="data")
    (series,) = load_study(tmp_path).series

    for stack in split_series(series):
        with pytest.raises(RefusedError) as refused:
            to_volume(stack)
        upright = to_volume(stack, GeometryPolicy(correct_tilt=True, resample_uneven=True))
        assert refused.value.reason is Reason.TILT
        assert any("gantry tilt" in flag for flag in upright.flags)
        assert np.abs(upright.volume.direction.T @ upright.volume.direction - np.eye(3)).max() < 1e-9
        tilt_deg = np.degrees(np.arccos(abs(upright.volume.direction[2, 0])))
        assert tilt_deg == pytest.approx(18.5, abs=0.1)  # what the source says of its gantry
