"""Find the vertebral bodies in a sagittal T2w lumbar MR series: one segment, volume, heights and centre for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application

from imaging.app_card import AppCard, option
from imaging.app_options import AppOptions
from imaging.deployment import Deployment
from imaging.geometry import GeometryPolicy
from imaging.image_kind import Plane, Weighting
from imaging.model_package import load_model_package
from imaging.provenance import Provenance
from imaging.report_spine import BODIES_LABEL
from imaging.run_record import Run
from imaging.select_series import SeriesRule
from operators.draw_findings import DrawFindings
from operators.load_study import LoadStudy
from operators.measure_bodies import MeasureBodies
from operators.order_bodies import OrderBodies
from operators.prepare_image import PrepareImage
from operators.record_spine import RecordSpine
from operators.restore_mask import RestoreMask
from operators.restore_probability import RestoreProbability
from operators.segment import Segment
from operators.select_series import SelectSeries
from operators.separate_bodies import SeparateBodies
from operators.to_volume import ToVolume
from operators.write_labels import WriteLabels
from operators.write_overlays import WriteOverlays
from operators.write_segments import WriteSegments
from operators.write_sr import WriteSr
from operators.write_votes import WriteVotes

SAGITTAL_T2W_LUMBAR = SeriesRule(
    title="sagittal T2w lumbar MR",
    modality="MR",
    weighting=Weighting.T2W,
    plane=Plane.SAGITTAL,
    min_slices=7,
    min_extent_mm=30.0,  # across the slices: most of the width of a lumbar body
    max_spacing_mm=6.5,
    body_parts=("LSPINE", "LUMBAR", "LSSPINE", "TLSPINE", "LUMBOSACRAL"),
    other_body_parts=(
        "CSPINE", "CERVICAL", "CTSPINE", "NECK", "HEAD", "BRAIN", "SKULL", "ABDOMEN", "BREAST", "HEART", "PROSTATE",
        "PELVIS", "SHOULDER", "ELBOW", "WRIST", "HAND", "HIP", "KNEE", "ANKLE", "FOOT",
    ),
    lowest_first=True,  # of several stations the one with the sacrum, from which levels are counted
)  # fmt: skip
NO_GAP = GeometryPolicy()  # an interpolated slice would be a tenth of a body
LEFT_TO_RIGHT = (0,)  # axis of the network's grid
CARD = AppCard(
    name="spine",
    version="0.1.0",
    title="Vertebral bodies of a sagittal T2w lumbar MR series: segments, volumes, heights, disc spaces",
    inputs="DICOM study with a sagittal T2w lumbar MR series",
    outputs=(
        "DICOM SEG",
        "DICOM SR (TID 1500)",
        "outlines as DICOM colour series",
        "report.html",
        "metadata.json",
        "NIfTI (--nifti)",
        "FRACTIONAL DICOM SEG (--votes)",
    ),
    model="spine",
    rule=SAGITTAL_T2W_LUMBAR,
)
DEPLOYMENT = Deployment(
    ae_title="SPINE-LUMBAR",
    modality="MR",
    body_part="lumbar spine",
    memory_mib=2048,
    timeout_s=600,
    always_writes=("seg.dcm", "sr.dcm"),
    may_write=("overlays/", "votes.dcm"),
)


@dataclass(frozen=True, kw_only=True)
class Options(AppOptions):
    """What a user may ask for."""

    lowest: Literal["auto", "L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10", "T9", "T8", "T7"] = option(
        "auto", "level of the lowest body, when a reader knows it; recorded as stated by the user"
    )
    nifti: bool = option(False, "also write the bodies as a NIfTI label map")
    votes: bool = option(False, "also write the mean probability of the networks as a FRACTIONAL DICOM SEG")
    mirror: bool = option(False, "also run the network on the image mirrored left to right, and take the mean")


class Spine(Application):
    """
    load > select > to_volume > prepare > segment > restore, restore_cores > separate > order > measure
    measure > write_seg > write_sr
    measure > write_overlays
    order > write_labels
    segment > restore_votes > write_votes
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
            settings=f"lowest {options.lowest}, mirror {options.mirror}",
        )
        record, folder, once = run.record, run.staging, CountCondition(self, 1)

        load = LoadStudy(self, once, folder=run.input, record=record, name="load")
        select = SelectSeries(self, rule=CARD.rule, record=record, name="select")
        to_volume = ToVolume(self, policy=NO_GAP, record=record, name="to_volume")
        prepare = PrepareImage(self, wanted=model.input, record=record, name="prepare")
        mirror = LEFT_TO_RIGHT if options.mirror else ()
        segment = Segment(self, model=model, backend=options.backend, mirror=mirror, record=record, name="segment")
        restore = RestoreMask(self, threshold=model.threshold, record=record, name="restore")
        restore_cores = RestoreMask(self, threshold=model.threshold, record=record, name="restore_cores")
        separate = SeparateBodies(self, cores=True, record=record, name="separate")
        order = OrderBodies(self, record=record, name="order")
        measure = MeasureBodies(self, lowest=options.lowest, record=record, name="measure")
        write_seg = WriteSegments(
            self, folder=folder, title="Vertebral bodies", provenance=made_by, record=record, name="write_seg"
        )
        write_sr = WriteSr(
            self, folder=folder, title="Vertebral bodies", provenance=made_by, record=record, name="write_sr"
        )
        report = RecordSpine(self, record=record, name="record")

        self.add_flow(load, select)
        self.add_flow(select, to_volume)
        self.add_flow(to_volume, prepare)
        self.add_flow(prepare, segment)
        self.add_flow(segment, restore, {("body", "logits")})
        self.add_flow(to_volume, restore, {("source", "source")})
        self.add_flow(segment, restore_cores, {("core", "logits")})
        self.add_flow(to_volume, restore_cores, {("source", "source")})
        self.add_flow(restore, separate, {("mask", "mask")})
        self.add_flow(restore_cores, separate, {("mask", "cores")})
        self.add_flow(separate, order)
        self.add_flow(order, measure, {("bodies", "bodies")})
        self.add_flow(to_volume, measure, {("source", "source")})
        self.add_flow(select, measure, {("selection", "selection")})
        self.add_flow(measure, write_seg, {("segments", "segments")})
        self.add_flow(to_volume, write_seg, {("source", "source")})
        self.add_flow(measure, write_sr, {("report", "report")})
        self.add_flow(write_seg, write_sr, {("seg", "seg")})
        self.add_flow(to_volume, write_sr, {("source", "source")})
        self.add_flow(select, report, {("selection", "selection")})
        self.add_flow(to_volume, report, {("source", "source")})
        self.add_flow(measure, report, {("report", "report")})

        if options.overlays:
            write_overlays = WriteOverlays(
                self,
                folder=folder / "overlays",
                title="Vertebral bodies",
                body_part="SPINE",
                provenance=made_by,
                record=record,
                name="write_overlays",
            )
            self.add_flow(measure, write_overlays, {("report", "report")})
            self.add_flow(to_volume, write_overlays, {("source", "source")})
        if wish := options.page_wish:
            draw = DrawFindings(
                self,
                title="Vertebral bodies",
                wish=wish,
                provenance=made_by,
                record=record,
                name="draw_findings",
            )
            self.add_flow(measure, draw, {("report", "report")})
            self.add_flow(to_volume, draw, {("source", "source")})
        if options.nifti:
            write_labels = WriteLabels(self, folder=folder, record=record, name="write_labels")
            self.add_flow(order, write_labels, {("bodies", "bodies")})
        if options.votes:
            restore_votes = RestoreProbability(self, record=record, name="restore_votes")
            write_votes = WriteVotes(
                self,
                folder=folder,
                title="Vertebral bodies, probability",
                label=BODIES_LABEL,
                provenance=made_by,
                record=record,
                name="write_votes",
            )
            self.add_flow(segment, restore_votes, {("body", "logits")})
            self.add_flow(to_volume, restore_votes, {("source", "source")})
            self.add_flow(restore_votes, write_votes, {("probability", "probability")})
            self.add_flow(to_volume, write_votes, {("source", "source")})


APPLICATION = Spine
