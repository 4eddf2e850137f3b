"""Find the primary tumour in a multiparametric pelvic MR study: segment on the T2w series, volume, diameters, ADC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application

from imaging.app_card import AppCard, option
from imaging.app_options import AppOptions
from imaging.deployment import Deployment
from imaging.geometry import GeometryPolicy
from imaging.model_package import load_model_package
from imaging.pelvic_sequences import PELVIS
from imaging.provenance import Provenance
from imaging.report_tumour import ACTIVATION_LABEL
from imaging.run_record import Run
from operators.align_sequences import AlignSequences
from operators.draw_findings import DrawFindings
from operators.find_tumour import FindTumour
from operators.load_study import LoadStudy
from operators.measure_tumour import MeasureTumour
from operators.prepare_sequences import PrepareSequences
from operators.record_tumour import RecordTumour
from operators.restore_mask import RestoreMask
from operators.restore_probability import RestoreProbability
from operators.segment import Segment
from operators.select_sequences import SelectSequences
from operators.write_adc import WriteAdc
from operators.write_overlays import WriteOverlays
from operators.write_segments import WriteSegments
from operators.write_sequences import WriteSequences
from operators.write_sr import WriteSr
from operators.write_votes import WriteVotes

NO_GAP = GeometryPolicy()  # a missing slice may hold the tumour
TUMOUR = "tumour"  # channel of the network
TITLE = "Cervical tumour"
CARD = AppCard(
    name="cervical_tumor",
    version="0.1.0",
    title="Primary cervical tumour of a multiparametric pelvic MR study: segment, volume, diameters, ADC",
    inputs="DICOM study with an axial T2w pelvic MR series, high-b DWI, and an ADC map or two b-values",
    outputs=(
        "DICOM SEG", "DICOM SR (TID 1500)", "outlines as DICOM colour series", "report.html", "metadata.json",
        "FRACTIONAL DICOM SEG (--votes)", "ADC map as DICOM (--derived-adc)", "NIfTI (--nifti)",
    ),
    model="cervical_tumor",
    rule=PELVIS.t2w,
    companions=(PELVIS.dwi, PELVIS.adc),
)  # fmt: skip
DEPLOYMENT = Deployment(
    ae_title="CERVICAL-TUMOR",
    modality="MR",
    body_part="pelvis",
    memory_mib=4096,
    timeout_s=900,
    always_writes=("sr.dcm",),
    may_write=("seg.dcm", "overlays/", "votes.dcm", "adc/"),
    nothing_eligible_is_common=True,  # many pelvic studies hold no diffusion series
)


@dataclass(frozen=True, kw_only=True)
class Options(AppOptions):
    """What a user may ask for."""

    allow_missing: bool = option(False, "go on without DWI or ADC, if the model was trained to")
    register: bool = option(False, "register DWI and ADC rigidly where they have another frame of reference")
    votes: bool = option(False, "also write the activation of the network as a FRACTIONAL DICOM SEG")
    derived_adc: bool = option(False, "also write the ADC map as a derived DICOM series where it had to be fitted")
    full_grid: bool = option(False, "give the network its full grid, padded, instead of one that fits the T2w series")
    nifti: bool = option(False, "also write the tumour and the aligned sequences as NIfTI, on the T2w grid")


class CervicalTumor(Application):
    """
    load > select > align > prepare > segment > find > restore > measure
    measure > write_seg > write_sr
    measure > write_overlays
    segment > restore_votes > write_votes
    align > write_adc
    align, restore > write_sequences
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
            settings=(
                f"allow missing {options.allow_missing}, register {options.register}, full grid {options.full_grid}"
            ),
        )
        record, folder, once = run.record, run.staging, CountCondition(self, 1)

        load = LoadStudy(self, once, folder=run.input, record=record, name="load")
        select = SelectSequences(
            self,
            rules=PELVIS,
            allow_missing=options.allow_missing,
            other_frame=options.register,
            record=record,
            name="select",
        )
        align = AlignSequences(self, register=options.register, policy=NO_GAP, record=record, name="align")
        prepare = PrepareSequences(self, wanted=model.input, full_grid=options.full_grid, record=record, name="prepare")
        segment = Segment(self, model=model, backend=options.backend, record=record, name="segment")
        find = FindTumour(self, threshold=model.threshold, record=record, name="find")
        restore = RestoreMask(self, threshold=model.threshold, record=record, name="restore")
        measure = MeasureTumour(self, model=model, record=record, name="measure")
        write_seg = WriteSegments(self, folder=folder, title=TITLE, provenance=made_by, record=record, name="write_seg")
        write_sr = WriteSr(self, folder=folder, title=TITLE, provenance=made_by, record=record, name="write_sr")
        report = RecordTumour(self, record=record, name="record")

        self.add_flow(load, select)
        self.add_flow(select, align)
        self.add_flow(align, prepare, {("aligned", "aligned")})
        self.add_flow(prepare, segment)
        self.add_flow(segment, find, {(TUMOUR, "logits")})
        self.add_flow(align, find, {("source", "source")})
        self.add_flow(find, restore, {("primary", "logits")})
        self.add_flow(align, restore, {("source", "source")})
        self.add_flow(restore, measure, {("mask", "mask")})
        self.add_flow(find, measure, {("found", "found")})
        self.add_flow(align, measure, {("aligned", "aligned")})
        self.add_flow(measure, write_seg, {("segments", "segments")})
        self.add_flow(align, write_seg, {("source", "source")})
        self.add_flow(measure, write_sr, {("report", "report")})
        self.add_flow(write_seg, write_sr, {("seg", "seg")})
        self.add_flow(align, write_sr, {("source", "source")})
        self.add_flow(select, report, {("sequences", "sequences")})
        self.add_flow(align, report, {("aligned", "aligned")})
        self.add_flow(measure, report, {("report", "report")})

        if options.overlays:
            write_overlays = WriteOverlays(
                self,
                folder=folder / "overlays",
                title=TITLE,
                body_part="PELVIS",
                provenance=made_by,
                record=record,
                name="write_overlays",
            )
            self.add_flow(measure, write_overlays, {("report", "report")})
            self.add_flow(align, write_overlays, {("source", "source")})
        if wish := options.page_wish:
            draw = DrawFindings(
                self,
                title=TITLE,
                wish=wish,
                provenance=made_by,
                companions=True,
                record=record,
                name="draw_findings",
            )
            self.add_flow(measure, draw, {("report", "report")})
            self.add_flow(align, draw, {("source", "source"), ("aligned", "aligned")})
        if options.votes:
            restore_votes = RestoreProbability(self, record=record, name="restore_votes")
            write_votes = WriteVotes(
                self,
                folder=folder,
                title=f"{TITLE}, activation",
                label=ACTIVATION_LABEL,
                provenance=made_by,
                record=record,
                name="write_votes",
            )
            self.add_flow(segment, restore_votes, {(TUMOUR, "logits")})
            self.add_flow(align, restore_votes, {("source", "source")})
            self.add_flow(restore_votes, write_votes, {("probability", "probability")})
            self.add_flow(align, write_votes, {("source", "source")})
        if options.derived_adc:
            write_adc = WriteAdc(self, folder=folder, provenance=made_by, record=record, name="write_adc")
            self.add_flow(align, write_adc, {("aligned", "aligned")})
        if options.nifti:
            write_sequences = WriteSequences(self, folder=folder, record=record, name="write_sequences")
            self.add_flow(restore, write_sequences, {("mask", "mask")})
            self.add_flow(align, write_sequences, {("aligned", "aligned")})


APPLICATION = CervicalTumor
