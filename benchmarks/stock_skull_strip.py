"""Skull stripping with the stock operators of the MONAI Deploy App SDK alone, for skull_strip.py to measure.

    python benchmarks/stock_skull_strip.py -i DICOM_FOLDER -o OUT -m MODEL.ts

MODEL.ts is a TorchScript network: (1, 1, slice, row, column) float32 within 0 to 1 to logits of that shape.
OUT receives the DICOM segmentation and ``stages.json``: wall and CPU seconds of each stage.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from monai.deploy.conditions import CountCondition
from monai.deploy.core import AppContext, Application, Operator
from monai.deploy.operators.dicom_data_loader_operator import DICOMDataLoaderOperator
from monai.deploy.operators.dicom_seg_writer_operator import (
    DICOMSegmentationWriterOperator,
    SegmentDescription,
)
from monai.deploy.operators.dicom_series_selector_operator import DICOMSeriesSelectorOperator
from monai.deploy.operators.dicom_series_to_volume_operator import DICOMSeriesToVolumeOperator
from monai.deploy.operators.monai_seg_inference_operator import (
    InfererType,
    InMemImageReader,
    MonaiSegInferenceOperator,
)
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    Compose,
    DivisiblePadd,
    EnsureChannelFirstd,
    Invertd,
    KeepLargestConnectedComponentd,
    LoadImaged,
    Orientationd,
    ScaleIntensityRangePercentilesd,
    Spacingd,
)
from pydicom.sr.codedict import codes

MR_SERIES = json.dumps({"selections": [{"name": "MR", "conditions": {"Modality": "MR"}}]})
AXES = "SPL"  # slices to the head, rows to the back, columns to the left
SPACING_MM = (2.0, 2.0, 2.0)
PERCENTILES = (0.5, 99.5)
MULTIPLE_OF = 16
THRESHOLD = 0.5
BRAIN = SegmentDescription(
    segment_label="Brain",
    segmented_property_category=codes.SCT.Organ,
    segmented_property_type=codes.SCT.Brain,
    algorithm_name="skull_strip",
    algorithm_version="stock",
)


class Stages:
    """Wall and CPU seconds of each stage; a stage inside another counts for itself only."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.cpu_seconds: defaultdict[str, float] = defaultdict(float)
        self._running: list[str] = []

    def add(self, stage: str, *, wall_s: float, cpu_s: float) -> None:
        """Add to one stage, and take it from the stage around it."""
        for name, sign in [(stage, 1), *((outer, -1) for outer in self._running[-1:])]:
            self.seconds[name] += sign * wall_s
            self.cpu_seconds[name] += sign * cpu_s

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add what the block takes; the CPU seconds are those of every thread of the process."""
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        self._running.append(stage)
        try:
            yield
        finally:
            self._running.pop()
            self.add(stage, wall_s=time.perf_counter() - wall_s, cpu_s=time.process_time() - cpu_s)

    def write(self, path: Path) -> None:
        """Write the JSON mappings ``seconds`` and ``cpu_seconds``."""
        stages = {"seconds": self.seconds, "cpu_seconds": self.cpu_seconds}
        path.write_text(json.dumps(stages, indent=2) + "\n")


STAGES = Stages()


def seconds_since_process_start() -> float:
    """Return the age of this process, to 10 ms (Linux)."""
    start_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - start_ticks / os.sysconf("SC_CLK_TCK")


def timed(operator: type[Operator], stage: str) -> type[Operator]:
    """Return the operator class, its ``compute`` measured as ``stage``."""

    class Timed(operator):
        def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
            with STAGES.measure(stage):
                super().compute(op_input, op_output, context)

    Timed.__name__ = operator.__name__
    return Timed


class TimedCompose(Compose):
    """``Compose`` measured as ``stage``."""

    def __init__(self, stage: str, transforms: list[Callable[..., Any]]) -> None:
        self.stage = stage
        super().__init__(transforms)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the transforms."""
        with STAGES.measure(self.stage):
            return super().__call__(*args, **kwargs)


class SegmentBrain(MonaiSegInferenceOperator):
    """The stock inference operator with the transforms of this pipeline."""

    def pre_process(self, reader: InMemImageReader) -> Compose:
        """Return the transforms from the volume to the network's input."""
        lower, upper = PERCENTILES
        return TimedCompose(
            "pre_transforms",
            [
                LoadImaged(keys="image", reader=reader),
                EnsureChannelFirstd(keys="image"),
                Orientationd(keys="image", axcodes=AXES),
                Spacingd(keys="image", pixdim=SPACING_MM, mode="bilinear"),
                ScaleIntensityRangePercentilesd("image", lower, upper, b_min=0.0, b_max=1.0, clip=True),
                DivisiblePadd(keys="image", k=MULTIPLE_OF),
            ],
        )

    def post_process(self, pre_transforms: Compose) -> Compose:
        """Return the transforms from the network's output to the mask on the grid of the volume."""
        back = Invertd("pred", pre_transforms, orig_keys="image", nearest_interp=False, to_tensor=True)
        discretise = AsDiscreted(keys="pred", threshold=THRESHOLD, dtype=torch.uint8)
        return Compose(
            [
                TimedCompose("invert", [Activationsd(keys="pred", sigmoid=True), back, discretise]),
                TimedCompose("keep_largest", [KeepLargestConnectedComponentd(keys="pred", connectivity=1)]),
            ]
        )


def load_network(context: AppContext) -> None:
    """Load the network now, not at its first call, and measure its calls."""
    if context.models is None:
        raise ValueError(f"-m must name a TorchScript file, {context.model_path} is none")
    model = context.models.get()
    with STAGES.measure("load_model"):
        network = model.predictor

    def timed_network(image: Any) -> Any:
        with STAGES.measure("network"):
            return network(image)

    model.predictor = timed_network


class StockSkullStrip(Application):
    """
    load > select > to_volume > segment > write_seg
    select > write_seg
    """

    def compose(self) -> None:
        """Build the graph."""
        context = Application.init_app_context(self.argv)
        load_network(context)
        self.output_folder = Path(context.output_path)
        load = timed(DICOMDataLoaderOperator, "load")(
            self, CountCondition(self, 1), input_folder=Path(context.input_path), name="load"
        )
        select = timed(DICOMSeriesSelectorOperator, "select")(self, rules=MR_SERIES, name="select")
        to_volume = timed(DICOMSeriesToVolumeOperator, "to_volume")(self, name="to_volume")
        segment = timed(SegmentBrain, "segment")(
            self,
            roi_size=None,
            pre_transforms=None,
            post_transforms=None,
            app_context=context,
            inferer=InfererType.SIMPLE,
            name="segment",
        )
        write_seg = timed(DICOMSegmentationWriterOperator, "write_seg")(
            self, segment_descriptions=[BRAIN], output_folder=self.output_folder, name="write_seg"
        )
        self.add_flow(load, select, {("dicom_study_list", "dicom_study_list")})
        self.add_flow(select, to_volume, {("study_selected_series_list", "study_selected_series_list")})
        self.add_flow(to_volume, segment, {("image", "image")})
        self.add_flow(segment, write_seg, {("seg_image", "seg_image")})
        self.add_flow(select, write_seg, {("study_selected_series_list", "study_selected_series_list")})


def main() -> None:
    """Run the application, then write its stages beside the segmentation."""
    STAGES.add("imports", wall_s=seconds_since_process_start(), cpu_s=time.process_time())
    app = StockSkullStrip()
    with STAGES.measure("framework"):
        app.run()
    STAGES.write(app.output_folder / "stages.json")


if __name__ == "__main__":
    main()
