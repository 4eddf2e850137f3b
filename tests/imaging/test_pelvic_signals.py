import numpy as np
import pytest

from imaging.pelvic_phantom import Tissue
from imaging.pelvic_signals import (
    FAT_LEFT,
    TYPICAL,
    TYPICAL_VALUES,
    contrast_mmol,
    draw_tissues,
    dwi_signal,
    t1w_signal,
    t2w_signal,
)

PATIENTS = [draw_tissues(seed) for seed in range(60)]


def test_every_tissue_has_values_and_the_arrays_are_indexed_by_them():
    assert set(TYPICAL_VALUES) == set(Tissue)
    for tissue, values in TYPICAL_VALUES.items():
        row = (TYPICAL.density, TYPICAL.t1_ms, TYPICAL.t2_ms, TYPICAL.adc_um2_per_s, TYPICAL.fat)
        np.testing.assert_allclose([column[tissue] for column in row], values, rtol=1e-6)


def test_a_tumour_is_intermediate_in_t2w():
    signal = t2w_signal(TYPICAL)

    assert signal[Tissue.MUSCLE] < signal[Tissue.STROMA] < signal[Tissue.TUMOUR] < signal[Tissue.URINE]
    assert signal[Tissue.TUMOUR] < signal[Tissue.ENDOMETRIUM]


def test_a_tumour_is_bright_at_a_high_b_value_and_dark_in_adc():
    around = [Tissue.STROMA, Tissue.VAGINA, Tissue.MYOMETRIUM, Tissue.MUSCLE, Tissue.URINE, Tissue.FAT]
    dwi = dwi_signal(TYPICAL, 1000)

    assert (dwi[around] < dwi[Tissue.TUMOUR]).all()
    assert (TYPICAL.adc_um2_per_s[around[:-1]] > TYPICAL.adc_um2_per_s[Tissue.TUMOUR]).all()


def test_a_log_linear_fit_gives_back_the_adc():
    b_values = np.array([0.0, 400.0, 800.0, 1000.0])
    signal = np.stack([dwi_signal(TYPICAL, b) for b in b_values])
    there = TYPICAL.density > 0

    slope = np.polyfit(b_values, np.log(signal[:, there]), 1)[0]
    np.testing.assert_allclose(-1e6 * slope, TYPICAL.adc_um2_per_s[there], rtol=1e-3)


def test_t2_shines_through_and_fat_is_suppressed():
    echo = t2w_signal(TYPICAL, repetition_ms=3000, echo_ms=70)
    diffusion = dwi_signal(TYPICAL, 0, repetition_ms=3000, echo_ms=70)

    assert diffusion[Tissue.URINE] == echo[Tissue.URINE]
    assert diffusion[Tissue.FAT] == pytest.approx(FAT_LEFT * echo[Tissue.FAT], rel=1e-4)


def test_the_spin_echo_equation_for_a_known_tissue():
    expected = 0.80 * (1 - np.exp(-1420 / 1420)) * np.exp(-1)

    assert t2w_signal(TYPICAL, repetition_ms=1420, echo_ms=36)[Tissue.MUSCLE] == pytest.approx(expected, rel=1e-5)


def test_patients_differ_and_tumours_overlap_with_other_tissues():
    tumours = np.array([patient.adc_um2_per_s[Tissue.TUMOUR] for patient in PATIENTS])
    for other in (Tissue.LYMPH_NODE, Tissue.ENDOMETRIUM, Tissue.OVARY):
        values = np.array([patient.adc_um2_per_s[other] for patient in PATIENTS])
        assert values.min() < tumours.max()
        assert tumours.min() < values.max()
    assert tumours.std() > 60


def test_in_each_patient_the_tumour_is_darker_in_adc_than_the_stroma():
    assert all(p.adc_um2_per_s[Tissue.TUMOUR] < p.adc_um2_per_s[Tissue.STROMA] for p in PATIENTS)


def test_equal_seeds_give_equal_patients():
    for name, values in vars(draw_tissues(4)).items():
        np.testing.assert_array_equal(values, getattr(draw_tissues(4), name))
        assert values.dtype == np.float32


def test_values_are_physical():
    for patient in PATIENTS:
        assert (patient.t2_ms > 0).all()
        assert (patient.t1_ms > patient.t2_ms).all()
        assert patient.adc_um2_per_s.max() < 3800
        assert (patient.density <= 1).all()


def test_contrast_agent_comes_after_its_arrival_and_brightens_the_tumour_early():
    assert not contrast_mmol(-5).any()
    before, after = (t1w_signal(TYPICAL, agent_mmol=contrast_mmol(at)) for at in (-5, 40))
    gain = after[before > 0] / before[before > 0]

    np.testing.assert_array_equal(before, t1w_signal(TYPICAL))
    assert (gain > 0.999).all()
    assert after[Tissue.TUMOUR] / before[Tissue.TUMOUR] > after[Tissue.STROMA] / before[Tissue.STROMA] > 1.05


def test_fat_is_bright_and_urine_dark_in_t1w():
    signal = t1w_signal(TYPICAL)

    assert signal[Tissue.FAT] > 2 * signal[Tissue.MUSCLE] > 2 * signal[Tissue.URINE]
