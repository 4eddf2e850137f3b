"""What it costs to find the images in a folder and to load a volume: ours, the stock SDK loader, pydicom, SimpleITK.

    python benchmarks/load_study.py [--stock-python .venv-stock/bin/python] [--slices 200 1000 5000] [--small]

Studies are synthetic and made in a temporary folder. Each task is a process of its own and measured in there, from the
end of its imports to the end of its work. README.md says how to read the tables.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from measure_process import MIB, measure_process

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OURS, STOCK = "ours", "stock"

INDEX = {
    "ours": "from imaging.load_study import load_study\n{work}load_study(folder)",
    "ours, all headers": "from imaging.load_study import load_study\n"
    "{work}headers = [series.headers for series in load_study(folder).series]",
    "stock": "from monai.deploy.operators.dicom_data_loader_operator import DICOMDataLoaderOperator as Loader\n"
    "from monai.deploy.core import Fragment\n"
    "loader = Loader(Fragment(), input_folder=folder)\n"
    "{work}loader.load_data_to_studies(folder)",
    "pydicom headers": "import pydicom\n"
    "{work}headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(folder.rglob('*.dcm'))]",
    "GDCM series IDs": "import SimpleITK\n{work}SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))",
}
VOLUME = {
    "ours": "from imaging.load_study import load_study\nfrom imaging.split_series import split_series\n"
    "from imaging.to_volume import to_volume\n"
    "{work}volume = to_volume(split_series(load_study(folder).series[0])[0]).volume.array",
    "stock": "from monai.deploy.operators.dicom_data_loader_operator import DICOMDataLoaderOperator as Loader\n"
    "from monai.deploy.operators.dicom_series_to_volume_operator import DICOMSeriesToVolumeOperator as ToVolume\n"
    "from monai.deploy.operators.dicom_series_selector_operator import DICOMSeriesSelectorOperator as Selector\n"
    "from monai.deploy.core import Fragment\n"
    "loader = Loader(Fragment(), input_folder=folder)\n"
    "selector = Selector(Fragment())\nconverter = ToVolume(Fragment())\n"
    "{work}selected = selector.filter(None, loader.load_data_to_studies(folder))\n"
    "image = converter.convert_to_image(selected)\nvolume = image.asnumpy().astype('float32')",
    "SimpleITK": "import SimpleITK\n"
    "{work}reader = SimpleITK.ImageSeriesReader()\n"
    "reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))\n"
    "reader.SetOutputPixelType(SimpleITK.sitkFloat32)\n"
    "volume = SimpleITK.GetArrayViewFromImage(reader.Execute())",
}
BEFORE = """
import json, pathlib, sys, time, warnings
import numpy
warnings.simplefilter("ignore")
folder = pathlib.Path(sys.argv[1])
def kib(name):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])
"""
START = """pathlib.Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
resident, started = kib("VmRSS"), time.process_time()
"""
AFTER = """
cpu_s, peak_kib = time.process_time() - started, kib("VmHWM") - resident
print("\\n" + json.dumps([cpu_s, peak_kib / 1024]))
"""
WRITE = """
import io, pathlib, sys
import numpy as np
from pydicom import examples
from pydicom.uid import JPEG2000Lossless, ExplicitVRLittleEndian
folder, slices, size, syntax = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
folder.mkdir(parents=True)
header = examples.ct  # a real header of 258 elements, private ones among them
header.StudyInstanceUID, header.Rows, header.Columns = "1.2.826.0.1.3680043.8.498.1", size, size
noise = np.random.default_rng(0)
compressed, DISTINCT = [], 50
ramp = np.add.outer(np.arange(size), np.arange(size))
def write(series, number, file):
    header.SeriesInstanceUID = f"1.2.826.0.1.3680043.8.498.2.{1000 + series}"
    header.SOPInstanceUID = f"1.2.826.0.1.3680043.8.498.3.{1000000 + number}"
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.InstanceNumber, header.SeriesNumber = number + 1, series + 1
    header.ImagePositionPatient = [-100, -100, number]
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pixels = (ramp + number + noise.integers(0, 40, (size, size))).astype(np.int16)
    header.PixelData = pixels.tobytes()
    header["PixelData"].VR = "OW"
    if syntax == "j2k" and number >= DISTINCT:  # encoding takes longer than what is measured
        header.file_meta.TransferSyntaxUID, header.PixelData = JPEG2000Lossless, compressed[number % DISTINCT]
        header["PixelData"].VR, header["PixelData"].is_undefined_length = "OB", True
    elif syntax == "j2k":
        header.compress(JPEG2000Lossless, generate_instance_uid=False)
        compressed.append(header.PixelData)
    header.save_as(file, enforce_file_format=True)
if size < 64:  # in series of 500, which differ in their UIDs only
    first = io.BytesIO()
    write(0, 0, first)
    for number in range(slices):
        content = first.getvalue().replace(b"498.2.1000", b"498.2.%d" % (1000 + number // 500))
        (folder / f"{number:06d}.dcm").write_bytes(content.replace(b"498.3.1000000", b"498.3.%d" % (1000000 + number)))
else:
    for number in range(slices):
        write(0, number, folder / f"{number:06d}.dcm")
"""


@dataclass(frozen=True)
class Study:
    """A synthetic study."""

    name: str
    slices: int
    size: int  # rows and columns
    syntax: str = "native"

    @property
    def volume_mib(self) -> float:
        """Size of its volume in float32."""
        return self.slices * self.size**2 * 4 / MIB


@dataclass(frozen=True)
class Setting:
    """The interpreters, and how often each task is measured."""

    pythons: Mapping[str, Path]
    repeat: int
    work: Path

    def python(self, name: str) -> Path | None:
        """Return the interpreter of a contender, None when it was not given."""
        return self.pythons.get(STOCK if name == STOCK else OURS)


def write_study(study: Study, setting: Setting) -> Path:
    """Write a study and return its folder."""
    folder = setting.work / study.name.replace(" ", "_")
    arguments = [str(folder), str(study.slices), str(study.size), study.syntax]
    run([str(setting.pythons[OURS]), "-c", WRITE, *arguments], setting)
    return folder


def run(command: Sequence[str], setting: Setting) -> str:
    """Run a command to its end and return the last line it printed."""
    log = setting.work / "log"
    libraries = ":".join(map(str, Path(command[0]).parents[1].glob("lib/python*/site-packages/nvidia/cu13/lib")))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "LD_LIBRARY_PATH": libraries}
    cost = measure_process(command, folder=setting.work, environment=environment, log=log)
    said = log.read_text(errors="replace")
    if cost.exit_code:
        raise SystemExit(f"exit code {cost.exit_code}\n{said[-3000:]}")
    return said.rstrip().rpartition("\n")[2]


def measure(tasks: Mapping[str, str], folder: Path, setting: Setting) -> Iterator[tuple[str, float, float]]:
    """Yield contender, CPU s and peak MiB beyond its imports: the least of all repeats, others work here too."""
    for name, code in tasks.items():
        python = setting.python(name)
        if python is None:
            continue
        command = [str(python), "-c", BEFORE + code.replace("{work}", START) + AFTER, str(folder)]
        costs = [json.loads(run(command, setting)) for _ in range(setting.repeat)]
        print(f"{name}: {costs}", file=sys.stderr, flush=True)
        yield name, min(cpu_s for cpu_s, _ in costs), min(mib for _, mib in costs)


def table(title: str, rows: list[tuple[str, float, float]], volume_mib: float = 0.0) -> None:
    """Print a table; ratios are to ours, above 1 ours is cheaper."""
    ours = {name: (cpu, mib) for name, cpu, mib in rows}[OURS]
    print(f"\n{title}\n\n| | CPU, s | / ours | memory, MiB | / ours |{' / volume |' if volume_mib else ''}")
    print(f"| --- | ---: | ---: | ---: | ---: |{' ---: |' if volume_mib else ''}")
    for name, cpu, mib in rows:
        share = f" {mib / volume_mib:.2f} |" if volume_mib else ""
        print(
            f"| {name} | {cpu:.2f} | {cpu / max(ours[0], 0.01):.1f} | {mib:.0f} | {mib / max(ours[1], 1):.1f} |{share}"
        )


def main() -> None:
    """Write the studies, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours-python", type=Path, default=Path(sys.executable))
    parser.add_argument("--stock-python", type=Path, help="interpreter with the App SDK and MONAI core")
    parser.add_argument("--slices", type=int, nargs="*", default=[200, 1000, 5000])
    parser.add_argument("--small", type=int, default=20_000, help="tiny instances in series of 500, 0 for none")
    parser.add_argument("--volumes", type=int, nargs="*", default=[200], help="slices of 512 x 512, each syntax")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="for the studies, instead of the system's temporary folder")
    options = parser.parse_args()
    pythons = {OURS: options.ours_python, **({STOCK: options.stock_python} if options.stock_python else {})}
    indexed = [Study(f"{count} slices", count, 256) for count in options.slices]
    indexed += [Study(f"{options.small} tiny instances", options.small, 16)] if options.small else []
    volumes = [
        Study(f"{count} x 512 x 512 {syntax}", count, 512, syntax)
        for count in options.volumes
        for syntax in ("native", "j2k")
    ]
    for studies, tasks, what in ((indexed, INDEX, "Indexing"), (volumes, VOLUME, "Volume")):
        for study in studies:
            with tempfile.TemporaryDirectory(dir=options.folder) as work:
                setting = Setting(pythons, options.repeat, Path(work))
                rows = list(measure(tasks, write_study(study, setting), setting))
            volume_mib = study.volume_mib if tasks is VOLUME else 0.0
            size = f" ({volume_mib:.0f} MiB in float32)" if volume_mib else ""
            table(f"{what}: {study.name}{size}", rows, volume_mib)


if __name__ == "__main__":
    main()
