"""Measurements as a DICOM structured report after TID 1500 (PS3.16).

What was measured of a segment is a group after TID 1411, what holds for all that the images show one after TID 1501.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import highdicom as hd
import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage

from imaging.finding import Finding, Point, Quantity, Site
from imaging.provenance import Provenance
from imaging.suite import RESEARCH_USE, SUITE
from imaging.to_volume import SourceImage
from imaging.write_common import instance_references, item, new_object, refer_to, uids_of

IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")


def encode_sr(
    findings: Sequence[Finding],
    seg: Dataset | None,
    source: SourceImage,
    provenance: Provenance,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> Dataset:
    """Return a Comprehensive 3D SR after TID 1500: one group of measurements for each finding, and there is one.

    seg    the segmentation that findings refer to; None when none of them has a segment
    title  of the series, such as "Brain volume"
    notes  sentences added as comments after the statement of research use
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom quotes unusual values
        report = sr.MeasurementReport(
            observation_context=_observer(provenance),
            procedure_reported=IMAGING_PROCEDURE,
            imaging_measurements=[_group(finding, seg, source, provenance) for finding in findings],
            title=codes.DCM.ImagingMeasurementReport,
        )
        for text in (RESEARCH_USE, *notes):
            report[0].ContentSequence.append(_comment(text))
    _separate(report[0])
    uids = [*uids_of(source.frames), *([] if seg is None else [seg.SOPInstanceUID])]
    document = new_object(source.stack.header, Comprehensive3DSRStorage, "SR", title, provenance, uids)
    document.CompletionFlag, document.VerificationFlag = "COMPLETE", "UNVERIFIED"
    document.PreliminaryFlag = "FINAL"
    document.ReferencedPerformedProcedureStepSequence = []
    document.PerformedProcedureCodeSequence = []
    document.CurrentRequestedProcedureEvidenceSequence = [_evidence(seg, source)]
    document.update(report[0])
    return document


def _separate(container: Dataset) -> None:
    """Say that items stand for themselves (PS3.3 C.18.8): viewers leave out their names in continuous text."""
    container.ContinuityOfContent = "SEPARATE"
    for child in container.get("ContentSequence", []):
        if child.ValueType == "CONTAINER":
            _separate(child)


def _evidence(seg: Dataset | None, source: SourceImage) -> Dataset:
    """Return every instance the report refers to (PS3.3 C.17.2.3), by study and series."""
    series = [item(SeriesInstanceUID=source.series.uid, ReferencedSOPSequence=instance_references(source.frames))]
    if seg is not None:
        series.insert(0, item(SeriesInstanceUID=seg.SeriesInstanceUID, ReferencedSOPSequence=[refer_to(seg)]))
    return item(StudyInstanceUID=source.stack.header.StudyInstanceUID, ReferencedSeriesSequence=series)


def _observer(provenance: Provenance) -> sr.ObservationContext:
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
                uid=provenance.uid("device", ()),
                name=provenance.app,
                manufacturer_name=SUITE,
                model_name=provenance.software_versions,
                serial_number=provenance.weights_sha256[:16],
            ),
        )
    )


def _group(
    finding: Finding, seg: Dataset | None, source: SourceImage, provenance: Provenance
) -> sr.MeasurementsAndQualitativeEvaluations | sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    space = source.volume.frame_of_reference_uid or provenance.uid("frame-of-reference", uids_of(source.frames))
    group = (
        _group_of_all(finding, source, provenance)
        if seg is None or finding.segment is None
        else _group_of_segment(finding, finding.segment, seg, source, provenance)
    )
    if finding.centre_mm is not None:
        group[0].ContentSequence.append(_place(codes.DCM.CenterOfMass, [finding.centre_mm], space))
    for quantity in finding.quantities:
        if quantity.line_mm is not None:  # beside its number: TID 1419 has no coordinates within one
            group[0].ContentSequence.append(_place(quantity.name, quantity.line_mm, space))
    for text in finding.remarks:
        group[0].ContentSequence.append(_comment(text))
    return group


def _group_of_segment(
    finding: Finding, number: int, seg: Dataset, source: SourceImage, provenance: Provenance
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    segment = seg.SegmentSequence[number - 1]
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=segment.TrackingUID, identifier=segment.TrackingID),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=number,
            source_series=sr.SourceSeriesForSegmentation(source.series.uid),
        ),
        finding_category=hd.sr.CodedConcept.from_dataset(segment.SegmentedPropertyCategoryCodeSequence[0]),
        finding_type=hd.sr.CodedConcept.from_dataset(segment.SegmentedPropertyTypeCodeSequence[0]),
        algorithm_id=_algorithm(provenance),
        finding_sites=_sites(finding.sites),
        measurements=[_measurement(quantity) for quantity in finding.quantities],
        qualitative_evaluations=_evaluations(finding),
    )


def _group_of_all(
    finding: Finding, source: SourceImage, provenance: Provenance
) -> sr.MeasurementsAndQualitativeEvaluations:
    uids = uids_of(source.frames)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=provenance.uid("tracking", uids, finding.label), identifier=finding.label
        ),
        finding_type=finding.finding_type,
        algorithm_id=_algorithm(provenance),
        finding_sites=_sites(finding.sites),
        measurements=[_measurement(quantity) for quantity in finding.quantities] or None,
        qualitative_evaluations=_evaluations(finding),
    )


def _algorithm(provenance: Provenance) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name=provenance.algorithm,
        version=provenance.model_version,
        parameters=[f"weights SHA-256 {provenance.weights_sha256}", f"application {provenance.app_version}"],
    )


def _measurement(quantity: Quantity) -> sr.Measurement:
    return sr.Measurement(
        name=quantity.name,
        value=round(quantity.value, 2),
        unit=quantity.unit,
        derivation=quantity.derivation,
        method=quantity.method,
        finding_sites=_sites(quantity.sites),
    )


def _sites(sites: Sequence[Code | Site]) -> list[sr.FindingSite] | None:
    whole = [site if isinstance(site, Site) else Site(site) for site in sites]
    return [sr.FindingSite(site.location, site.laterality, site.modifier) for site in whole] or None


def _evaluations(finding: Finding) -> list[sr.QualitativeEvaluation] | None:
    return [sr.QualitativeEvaluation(one.name, one.value) for one in finding.evaluations] or None


def _place(name: Code, points_mm: Sequence[Point], space: str) -> sr.Scoord3DContentItem:
    """Return a point, or a line between two of them, LPS in a frame of reference."""
    kinds = sr.GraphicTypeValues3D
    return sr.Scoord3DContentItem(
        name=name,
        graphic_type=kinds.POINT if len(points_mm) == 1 else kinds.POLYLINE,
        graphic_data=np.array(points_mm),
        frame_of_reference_uid=space,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )


def _comment(text: str) -> sr.TextContentItem:
    return sr.TextContentItem(name=codes.DCM.Comment, value=text, relationship_type=sr.RelationshipTypeValues.CONTAINS)
