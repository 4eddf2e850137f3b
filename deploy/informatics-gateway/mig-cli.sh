#!/bin/sh
# The same as curl.sh with mig-cli, for a gateway that mig-cli manages.
# Written by `monai-deploy deploy-files`: change its options or apps/*/app.py, not this file.
set -eu
mig-cli config endpoint "${1:-http://localhost:5000}"
mig-cli src add -n ORTHANC -a ORTHANC -h 172.29.0.100
mig-cli dst add -n ORTHANC -a ORTHANC -h 172.29.0.100 -p 4242
mig-cli aet add -n cervical-tumor -a CERVICAL-TUMOR -g 0020,000D -t 60
mig-cli aet add -n lung-nodule -a LUNG-NODULE -g 0020,000D -t 60
mig-cli aet add -n skull-strip -a SKULL-STRIP -g 0020,000D -t 60
mig-cli aet add -n spine -a SPINE-LUMBAR -g 0020,000D -t 60
mig-cli dst cecho -n ORTHANC
