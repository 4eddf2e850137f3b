"""Find the brain in a T1w head MR series: mask, volume, and the image without skull."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application

from imaging.app_card import AppCard, option
from imaging.app_options import AppOptions
from imaging.deployment import Deployment
from imaging.geometry import GeometryPolicy
from imaging.image_kind import Weighting
from imaging.model_package import load_model_package
from imaging.provenance import Provenance
from imaging.run_record import Run
from imaging.select_series import SeriesRule
from operators.draw_findings import DrawFindings
from operators.keep_largest import KeepLargest
from operators.load_study import LoadStudy
from operators.measure_brain import MeasureBrain
from operators.prepare_image import PrepareImage
from operators.record_brain import RecordBrain
from operators.restore_mask import RestoreMask
from operators.segment import Segment
from operators.select_series import SelectSeries
from operators.to_volume import ToVolume
from operators.write_nifti import WriteNifti
from operators.write_overlays import WriteOverlays
from operators.write_segments import WriteSegments
from operators.write_sr import WriteSr
from operators.write_stripped_series import WriteStrippedSeries

T1W_HEAD = SeriesRule(
    title="T1w head MR",
    modality="MR",
    weighting=Weighting.T1W,
    min_slices=20,
    min_extent_mm=100.0,
    max_spacing_mm=6.5,
    body_parts=("HEAD", "BRAIN", "SKULL"),
    other_body_parts=("ABDOMEN", "BREAST", "KNEE", "PELVIS", "PROSTATE", "SPINE", "ANKLE", "SHOULDER", "HIP", "HEART"),
)
ONE_THICK_SLICE = GeometryPolicy(max_gap_mm=4.0)  # the network is trained on slices of up to 5 mm
FACELESS_MM = 15.0  # what is farther from the brain is not shown in planes that would show a face
CARD = AppCard(
    name="skull_strip",
    version="0.1.0",
    title="Brain mask, brain volume and skull-stripped image of a T1w head MR series",
    inputs="DICOM study with a T1w head MR series",
    outputs=(
        "DICOM SEG",
        "DICOM SR (TID 1500)",
        "outlines as DICOM colour series",
        "derived DICOM MR series",
        "report.html",
        "metadata.json",
        "NIfTI (--nifti)",
    ),
    model="skull_strip",
    rule=T1W_HEAD,
)
DEPLOYMENT = Deployment(
    ae_title="SKULL-STRIP",
    modality="MR",
    body_part="head",
    memory_mib=2048,
    timeout_s=600,
    always_writes=("seg.dcm", "sr.dcm"),
    may_write=("overlays/", "stripped/"),
    nothing_eligible_is_common=True,  # a head study need not hold a T1w series
)


@dataclass(frozen=True, kw_only=True)
class Options(AppOptions):
    """What a user may ask for."""

    nifti: bool = option(False, "also write mask and skull-stripped image as NIfTI")
    stripped_series: bool = option(True, "write the skull-stripped image as a DICOM series")


class SkullStrip(Application):
    """
    load > select > to_volume > prepare > segment > restore > keep_largest > measure
    measure > write_seg > write_sr
    measure > write_overlays
    keep_largest > write_stripped_series, write_nifti
    """

    def __init__(self, run: Run, *args: Any, **kwargs: Any) -> None:
        self.inputs = run
        super().__init__(*args, **kwargs)  # first: Holoscan complains of an application that never was one
        self.model = load_model_package(run.models / CARD.model)

    def compose(self) -> None:
        run, model, options = self.inputs, self.model, self.inputs.options
        made_by = Provenance(
            app=CARD.name,
            app_version=CARD.version,
            model=model.name,
            model_version=model.version,
            weights_sha256=model.sha256,
        )
        record, folder, once = run.record, run.staging, CountCondition(self, 1)

        load = LoadStudy(self, once, folder=run.input, record=record, name="load")
        select = SelectSeries(self, rule=CARD.rule, record=record, name="select")
        to_volume = ToVolume(self, policy=ONE_THICK_SLICE, record=record, name="to_volume")
        prepare = PrepareImage(self, wanted=model.input, record=record, name="prepare")
        segment = Segment(self, model=model, backend=options.backend, record=record, name="segment")
        restore = RestoreMask(self, threshold=model.threshold, record=record, name="restore")
        keep_largest = KeepLargest(self, record=record, name="keep_largest")
        measure = MeasureBrain(self, record=record, name="measure")
        write_seg = WriteSegments(
            self, folder=folder, title="Brain mask", provenance=made_by, record=record, name="write_seg"
        )
        write_sr = WriteSr(
            self, folder=folder, title="Brain volume", provenance=made_by, record=record, name="write_sr"
        )
        report = RecordBrain(self, record=record, name="record")

        self.add_flow(load, select)
        self.add_flow(select, to_volume)
        self.add_flow(to_volume, prepare)
        self.add_flow(prepare, segment)
        self.add_flow(segment, restore, {("logits", "logits")})
        self.add_flow(to_volume, restore, {("source", "source")})
        self.add_flow(restore, keep_largest)
        self.add_flow(keep_largest, measure, {("mask", "mask")})
        self.add_flow(to_volume, measure, {("source", "source")})
        self.add_flow(measure, write_seg, {("segments", "segments")})
        self.add_flow(to_volume, write_seg, {("source", "source")})
        self.add_flow(measure, write_sr, {("measurement", "report")})
        self.add_flow(write_seg, write_sr, {("seg", "seg")})
        self.add_flow(to_volume, write_sr, {("source", "source")})
        self.add_flow(select, report, {("selection", "selection")})
        self.add_flow(to_volume, report, {("source", "source")})
        self.add_flow(measure, report, {("measurement", "measurement")})

        if options.overlays:
            write_overlays = WriteOverlays(
                self,
                folder=folder / "overlays",
                title="Brain mask",
                body_part="BRAIN",
                provenance=made_by,
                record=record,
                name="write_overlays",
            )
            self.add_flow(measure, write_overlays, {("measurement", "report")})
            self.add_flow(to_volume, write_overlays, {("source", "source")})
        if wish := options.page_wish:
            draw = DrawFindings(
                self,
                title="Brain",
                wish=wish,
                provenance=made_by,
                hide_beyond_mm=FACELESS_MM,
                record=record,
                name="draw_findings",
            )
            self.add_flow(measure, draw, {("measurement", "report")})
            self.add_flow(to_volume, draw, {("source", "source")})
        if options.stripped_series:
            series = folder / "stripped"
            write_series = WriteStrippedSeries(
                self, folder=series, provenance=made_by, record=record, name="write_stripped_series"
            )
            self.add_flow(keep_largest, write_series, {("mask", "mask")})
            self.add_flow(to_volume, write_series, {("source", "source")})
        if options.nifti:
            write_nifti = WriteNifti(self, folder=folder, record=record, name="write_nifti")
            self.add_flow(keep_largest, write_nifti, {("mask", "mask")})
            self.add_flow(to_volume, write_nifti, {("source", "source")})


APPLICATION = SkullStrip
