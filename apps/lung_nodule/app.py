"""Find, or take from the study, the nodules of a chest CT: segment, diameters, volume, probability of malignancy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application

from imaging.app_card import AppCard, option
from imaging.app_options import AppOptions
from imaging.deployment import Deployment
from imaging.find_nodules import OPERATING_POINTS
from imaging.geometry import GeometryPolicy
from imaging.image_kind import Kernel, Plane, Weighting
from imaging.model_package import load_model_package
from imaging.nodule_crop import load_crop_input
from imaging.provenance import Provenance
from imaging.run_record import Run
from imaging.seed_marks import parse_points
from imaging.select_series import SeriesRule
from imaging.window import LUNG_WINDOW
from operators.classify_regions import ClassifyRegions
from operators.draw_findings import DrawFindings
from operators.find_nodules import FindNodules
from operators.load_study import LoadStudy
from operators.mask_lungs import MaskLungs
from operators.outline_marks import OutlineMarks
from operators.read_marks import ReadMarks
from operators.record_nodules import RecordNodules
from operators.report_nodules import ReportNodules
from operators.select_series import SelectSeries
from operators.to_volume import ToVolume
from operators.write_heat_maps import WriteHeatMaps
from operators.write_overlays import WriteOverlays
from operators.write_parametric_map import WriteParametricMap
from operators.write_segments import WriteSegments
from operators.write_sr import WriteSr

THIN_CHEST_CT = SeriesRule(
    title="thin-slice chest CT",
    modality="CT",
    weighting=Weighting.CT,
    plane=Plane.AXIAL,
    kernel=Kernel.SHARP,
    min_slices=40,
    min_extent_mm=120.0,
    max_spacing_mm=3.0,  # a nodule of 6 mm is on two slices; the classifier learned from slices of up to 3 mm
    body_parts=("CHEST", "THORAX", "LUNG", "TSPINE"),
    other_body_parts=("HEAD", "BRAIN", "SKULL", "ABDOMEN", "PELVIS", "KNEE", "ANKLE", "FOOT", "HAND", "WRIST", "ELBOW"),
)
NO_GAP = GeometryPolicy()  # a missing slice may hold the nodule
CARD = AppCard(
    name="lung_nodule",
    version="0.1.0",
    title="Lung nodules of a chest CT: segments, diameters, volumes, probability of malignancy by radiologists' votes",
    inputs="DICOM study with a chest CT in slices of at most 3 mm; SEG, RTSTRUCT or SR with marked nodules if any",
    outputs=(
        "DICOM SEG", "DICOM SR (TID 1500)", "outlines and heat maps as DICOM colour series", "report.html",
        "metadata.json",
    ),
    model="lung_nodule",
    rule=THIN_CHEST_CT,
)  # fmt: skip
DEPLOYMENT = Deployment(
    ae_title="LUNG-NODULE",
    modality="CT",
    body_part="chest",
    memory_mib=4096,
    timeout_s=1200,
    always_writes=("sr.dcm",),
    may_write=("seg.dcm", "overlays/", "heat_maps/", "heat.dcm"),
    nothing_eligible_is_common=True,  # many chest studies hold thick slices only
)
OUTLINE, CLASSIFIER = "outline", "classifier"


@dataclass(frozen=True, kw_only=True)
class Options(AppOptions):
    """What a user may ask for."""

    points: str = option("", 'nodules at these places: "x,y,z; x,y,z" in LPS mm; nothing else is looked for')
    operating_point: Literal["strict", "balanced", "sensitive"] = option(
        "balanced", "how nodule-like a candidate must be when nobody marked any; sensitive needs a larger --at-most"
    )
    at_most: Literal["5", "10", "20", "50"] = option("10", "so many candidates when nobody marked any")
    heat_maps: bool = option(True, "write what the classifier looked at as a DICOM colour series")
    parametric_map: bool = option(False, "write the same as a DICOM Parametric Map: numbers, for programs")


class LungNodule(Application):
    """
    load > select > to_volume > mask_lungs
    load, to_volume > read_marks > find > outline > classify > report
    report > write_seg > write_sr
    report > write_overlays, write_heat_maps
    """

    def __init__(self, run: Run, *args: Any, **kwargs: Any) -> None:
        self.inputs = run
        super().__init__(*args, **kwargs)  # first: Holoscan complains of an application that never was one
        folder = run.models / CARD.model
        self.points = parse_points(run.options.points)
        self.outliner, self.outline_input = load_model_package(folder / OUTLINE), load_crop_input(folder / OUTLINE)
        self.classifier = load_model_package(folder / CLASSIFIER)
        self.classifier_input = load_crop_input(folder / CLASSIFIER)
        both = (*self.outliner.members, *self.classifier.members)
        self.model = replace(self.classifier, name=CARD.model, members=both)  # as the record of the run names it

    def compose(self) -> None:
        run, options = self.inputs, self.inputs.options
        outliner, classifier = self.outliner, self.classifier
        made_by = Provenance(
            app=CARD.name,
            app_version=CARD.version,
            model=self.model.name,
            model_version=self.model.version,
            weights_sha256=self.model.sha256,
            settings=f"points {self.points}, at most {options.at_most}, {options.operating_point}",
        )
        record, folder, once = run.record, run.staging, CountCondition(self, 1)

        load = LoadStudy(self, once, folder=run.input, record=record, name="load")
        select = SelectSeries(self, rule=CARD.rule, record=record, name="select")
        to_volume = ToVolume(self, policy=NO_GAP, record=record, name="to_volume")
        mask_lungs = MaskLungs(self, record=record, name="mask_lungs")
        read_marks = ReadMarks(self, points=self.points, record=record, name="read_marks")
        find = FindNodules(
            self,
            point=OPERATING_POINTS[options.operating_point],
            at_most=int(options.at_most),
            record=record,
            name="find",
        )
        outline = OutlineMarks(
            self, model=outliner, crop=self.outline_input, backend=options.backend, record=record, name="outline"
        )
        classify = ClassifyRegions(
            self, model=classifier, crop=self.classifier_input, backend=options.backend, record=record, name="classify"
        )
        report = ReportNodules(self, model=classifier, record=record, name="report")
        write_seg = WriteSegments(
            self, folder=folder, title="Lung nodules", provenance=made_by, record=record, name="write_seg"
        )
        write_sr = WriteSr(
            self, folder=folder, title="Lung nodules", provenance=made_by, record=record, name="write_sr"
        )
        remember = RecordNodules(self, record=record, name="record")

        self.add_flow(load, select)
        self.add_flow(select, to_volume)
        self.add_flow(to_volume, mask_lungs)
        self.add_flow(load, read_marks, {("study", "study")})
        self.add_flow(to_volume, read_marks, {("source", "source")})
        self.add_flow(read_marks, find, {("marks", "marks")})
        self.add_flow(mask_lungs, find, {("lungs", "lungs")})
        self.add_flow(to_volume, find, {("source", "source")})
        self.add_flow(find, outline, {("marks", "marks")})
        self.add_flow(read_marks, outline, {("flags", "flags")})
        self.add_flow(to_volume, outline, {("source", "source")})
        self.add_flow(outline, classify, {("marks", "marks")})
        self.add_flow(to_volume, classify, {("source", "source")})
        self.add_flow(outline, report, {("marks", "marks"), ("flags", "flags")})
        self.add_flow(classify, report, {("classified", "classified")})
        self.add_flow(mask_lungs, report, {("lungs", "lungs")})
        self.add_flow(to_volume, report, {("source", "source")})
        self.add_flow(report, write_seg, {("segments", "segments")})
        self.add_flow(to_volume, write_seg, {("source", "source")})
        self.add_flow(report, write_sr, {("report", "report")})
        self.add_flow(write_seg, write_sr, {("seg", "seg")})
        self.add_flow(to_volume, write_sr, {("source", "source")})
        self.add_flow(select, remember, {("selection", "selection")})
        self.add_flow(to_volume, remember, {("source", "source")})
        self.add_flow(report, remember, {("report", "report")})

        if options.overlays:
            write_overlays = WriteOverlays(
                self,
                folder=folder / "overlays",
                title="Lung nodules",
                body_part="CHEST",
                window=LUNG_WINDOW,
                provenance=made_by,
                record=record,
                name="write_overlays",
            )
            self.add_flow(report, write_overlays, {("report", "report")})
            self.add_flow(to_volume, write_overlays, {("source", "source")})
        if wish := options.page_wish:
            draw = DrawFindings(
                self,
                title="Lung nodules",
                wish=wish,
                provenance=made_by,
                window=LUNG_WINDOW,
                record=record,
                name="draw_findings",
            )
            self.add_flow(report, draw, {("report", "report")})
            self.add_flow(to_volume, draw, {("source", "source")})
        if options.heat_maps:
            write_heat_maps = WriteHeatMaps(
                self, folder=folder / "heat_maps", provenance=made_by, record=record, name="write_heat_maps"
            )
            self.add_flow(report, write_heat_maps, {("report", "report")})
            self.add_flow(to_volume, write_heat_maps, {("source", "source")})
        if options.parametric_map:
            write_map = WriteParametricMap(self, folder=folder, provenance=made_by, record=record, name="write_map")
            self.add_flow(report, write_map, {("report", "report")})
            self.add_flow(to_volume, write_map, {("source", "source")})


APPLICATION = LungNodule
