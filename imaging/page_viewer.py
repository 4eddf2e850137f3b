"""The viewer in the page: NiiVue, with a small copy of the images, all inside the file."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from functools import cache
from pathlib import Path

from imaging.coarse_image import CoarseImage
from imaging.html_parts import Html, element

VENDOR = Path(__file__).parent / "vendor"
NIIVUE = VENDOR / "niivue-0.69.0.umd.js.gz"
"""``dist/niivue.umd.js`` of the npm package @niivue/niivue 0.69.0, compressed."""
NIIVUE_SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"
"""Of the script, not compressed. The page allows no other."""
LICENCES = VENDOR / "niivue.licences.txt"

SCRIPT = """
"use strict";
const part=id=>document.getElementById(id);
const bytes=id=>Uint8Array.from(atob(part(id).textContent),letter=>letter.charCodeAt(0));
const facts=JSON.parse(part("viewer-facts").textContent);
part("viewer").hidden=false;
part("viewer-open").addEventListener("click",async()=>{
const said=part("viewer-said");
part("viewer-open").disabled=true;said.textContent="Opening ...";
try{await open();part("viewer-open").hidden=true;part("viewer-body").hidden=false;
said.textContent="The viewer is open.";show()}
catch(error){said.textContent="This browser cannot show it: WebGL2 is needed. The pictures above show the findings."}});
let view,show=()=>{};const SEEN=.4;
async function open(){
if(!document.createElement("canvas").getContext("webgl2"))throw new Error("no WebGL2");
const packed=new Blob([bytes("viewer-code")]).stream();
const code=await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).text();
const script=document.createElement("script");script.textContent=code;document.head.append(script);
view=new niivue.Niivue({backColor:[0,0,0,1],isRadiologicalConvention:true,sagittalNoseLeft:true,crosshairWidth:.6,
loadingText:"",logLevel:"silent",dragAndDropEnabled:false,show3Dcrosshair:false,isSliceMM:true,
onLocationChange:where=>part("viewer-place").textContent=placed(where.mm)});
await view.attachToCanvas(part("viewer-canvas"));
await view.loadFromArrayBuffer(bytes("viewer-image").buffer,"image.nii.gz");
view.volumes[0].cal_min=0;view.volumes[0].cal_max=255;
if(facts.colours.R.length>1){
await view.loadFromArrayBuffer(bytes("viewer-labels").buffer,"labels.nii.gz");
view.volumes[1].setColormapLabel(facts.colours);view.setOpacity(1,SEEN)}
view.setSliceType(view.sliceTypeMultiplanar);
const size=view.volumes[0].dimsRAS.slice(1,4),axes=["x","y","z"].map(axis=>part("viewer-"+axis));
show=()=>{const at=view.scene.crosshairPos;axes.forEach((axis,number)=>{axis.max=size[number]-1;
axis.value=Math.floor(at[number]*size[number])});view.updateGLVolume()};
axes.forEach((axis,number)=>axis.addEventListener("input",()=>{const at=view.scene.crosshairPos;
at[number]=(Number(axis.value)+.5)/size[number];view.scene.crosshairPos=at;view.createOnLocationChange();view.drawScene()}));
part("viewer-segments")?.addEventListener("change",event=>view.setOpacity(1,event.target.checked?SEEN:0));
part("viewer-canvas").addEventListener("pointerup",()=>show());
document.querySelectorAll("[data-to]").forEach(button=>button.addEventListener("click",()=>go(facts.places[button.dataset.to])));
if(facts.places.length)go(facts.places[0]);else view.createOnLocationChange();
globalThis.pageViewer=view}
function go(place){view.scene.crosshairPos=view.mm2frac(place);view.createOnLocationChange();show()}
function placed([x,y,z]){const say=(value,more,less)=>Math.abs(value).toFixed(0)+" mm "+(value<0?less:more);
return say(x,"right","left")+", "+say(y,"anterior","posterior")+", "+say(z,"head","foot")}
"""


def viewer(coarse: CoarseImage) -> Html:
    """Return the viewer, closed; without scripts nothing of it is seen."""
    jumps = (
        element(
            "button",
            element("span", class_="swatch", style=f"background:rgb{one.rgb}", aria_hidden="true"),
            one.name,
            type="button",
            data_to=str(at),
        )
        for at, one in enumerate(coarse.targets)
    )
    sliders = [_slider("x", "Right to left"), _slider("y", "Back to front"), _slider("z", "Foot to head")]
    canvas = element(
        "canvas", id="viewer-canvas", role="img", aria_label="Three planes through the images; the sliders move them"
    )
    box = element("label", element("input", type="checkbox", id="viewer-segments", checked=True), "Segments")
    segments = [box] if coarse.targets else []
    body = element(
        "div",
        element("div", canvas, class_="canvas"),
        element("p", "Crosshair: ", element("span", id="viewer-place"), class_="soft"),
        element("div", *sliders, *segments, class_="controls"),
        element("div", *jumps, class_="controls"),
        id="viewer-body",
        hidden=True,
    )
    size = " x ".join(f"{mm:.1f}" for mm in coarse.voxel_mm)
    return element(
        "div",
        element("h3", "Look through the images"),
        element("p", f"A coarse copy, voxels of {size} mm, for an overview: the DICOM files are what counts.",
                class_="soft"),
        element("p", element("button", "Open the viewer", type="button", id="viewer-open"), class_="controls"),
        element("p", id="viewer-said", role="status", class_="soft"),
        body,
        *(_data(f"viewer-{name}", value) for name, value in (
            ("image", coarse.image), ("labels", coarse.labels), ("code", NIIVUE.read_bytes()))),
        element("script", Html(_facts(coarse)), type="application/json", id="viewer-facts"),
        element("script", Html(SCRIPT)),
        element("details", element("summary", "Licences of the viewer"), element("pre", LICENCES.read_text("utf-8"))),
        id="viewer", class_="screen", hidden=True,
    )  # fmt: skip


@cache
def script_policy() -> str:
    """Return what a policy allows: the two scripts of the viewer, by their hashes."""
    digests = (hashlib.sha256(SCRIPT.encode()).digest(), bytes.fromhex(NIIVUE_SHA256))
    return "script-src " + " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def niivue_source() -> bytes:
    """Return the script of NiiVue as it is in its package."""
    return gzip.decompress(NIIVUE.read_bytes())


def _facts(coarse: CoarseImage) -> str:
    """Return colours and places as JSON that cannot end its element."""
    rgb = [(0, 0, 0), *(one.rgb for one in coarse.targets)]
    colours = {
        "R": [one[0] for one in rgb], "G": [one[1] for one in rgb], "B": [one[2] for one in rgb],
        "A": [0] + [255] * (len(rgb) - 1), "I": list(range(len(rgb))), "labels": [""] * len(rgb),
    }  # fmt: skip
    places = [[round(value, 2) for value in one.centre_ras_mm] for one in coarse.targets]
    return json.dumps({"colours": colours, "places": places}).replace("<", "\\u003c")


def _data(name: str, value: bytes) -> Html:
    return element("script", Html(base64.b64encode(value).decode()), type="text/plain", id=name)


def _slider(axis: str, name: str) -> Html:
    return element("label", name, element("input", type="range", id=f"viewer-{axis}", min="0", max="1", value="0"))
