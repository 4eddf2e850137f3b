#!/usr/bin/env bash
# Stage applications as self-contained folders that run as they will in a container:
#   ./build_maps.sh [APP...]      all applications by default
#   python build/skull_strip/app -i STUDY -o OUT -m build/skull_strip/models
# Container images are not built yet.
set -euo pipefail
cd "$(dirname "$0")"

apps=("$@")
if [ ${#apps[@]} -eq 0 ]; then
  for file in apps/*/app.py; do apps+=("$(basename "$(dirname "$file")")"); done
fi

for app in "${apps[@]}"; do
  if [ ! -f "apps/$app/app.py" ]; then
    echo "build_maps.sh: no application '$app' in apps/" >&2
    exit 2
  fi
  stage="build/$app"
  rm -rf "$stage"
  mkdir -p "$stage/app" "$stage/models"
  cp "apps/$app/app.py" "apps/$app/__main__.py" "$stage/app/"
  for package in cli imaging operators; do
    (shopt -s nullglob; mkdir "$stage/app/$package"; cp "$package"/*.py "$stage/app/$package/")
  done
  cp -r imaging/vendor "$stage/app/imaging/"
  (cd models && find "$app" -type f \( -name metadata.json -o -name card.md -o -name '*.ts' -o -name '*.xml' -o -name '*.bin' \) \
    -exec cp --parents {} "$OLDPWD/$stage/models/" \;)
  echo "staged $stage"
done
