"""Checks the Helm chart: against the overlays, the schemas, the program, and wrong values.

Usage: chart.py HELM FOLDER PROGRAM. FOLDER has each overlay, rendered, as plain.yaml, istio.yaml and linkerd.yaml.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

import values
from common import Help, expect, only
from schemas import check_schema

HELM, FOLDER, PROGRAM = sys.argv[1:]
CHART = Path("deploy/helm")
EVERYTHING = Path("tests/kubernetes/everything.yaml")
MESHES = {"none": "plain", "istio": "istio", "linkerd": "linkerd"}
NAME = "replica-session-gateway"
# What only Helm adds. The chart selects by the instance as well, since there may be two in one namespace.
OF_HELM = {
    "app.kubernetes.io/instance": NAME,
    "app.kubernetes.io/version": None,
    "app.kubernetes.io/managed-by": "Helm",
    "helm.sh/chart": None,
}
# Lists whose order has no meaning, by the name of the field.
UNORDERED = {"env", "volumes", "volumeMounts"}

# Wrong values, and what the message has to say.
WRONG = {
    "mesh=consul": "/mesh': value must be one of 'none', 'istio', 'linkerd'",
    "enterpriseManager.password=secret": "additional properties 'password' not allowed",
    "enterpriseManager.url=em.example:9398": "/enterpriseManager/url': 'em.example:9398' does not match",
    "enterpriseManager.url=": "enterpriseManager.url is required",
    "enterpriseManager.username=": "enterpriseManager.username is required",
    "enterpriseManager.url=http://em.example:9399": "set enterpriseManager.allowPlaintext",
    "enterpriseManager.pins[0]=12ab": "/enterpriseManager/pins/0': '12ab' does not match",
    f"enterpriseManager.caKey=ca.crt,enterpriseManager.pins[0]={'ab' * 32}": "enterpriseManager.caKey excludes",
    "image.repository=": "image.repository is required",
    "image.digest=latest": "/image/digest': 'latest' does not match",
    "tls.enabled=maybe": "/tls/enabled': value must be one of 'auto', true, false",
    "tls.enabled=true,mesh=istio": "tls.enabled has to be auto or false in a mesh",
    "tls.enabled=false": "without a mesh and without tls.clientCertificates, callers have no names",
    "tls.clientCertificates=false": "without a mesh and without tls.clientCertificates, callers have no names",
    "callers.any=true": "callers.any excludes",
    "callers.serviceAccounts=null": "who may call?",
    "callers.serviceAccounts[0].name=a/b": "/callers/serviceAccounts/0/name': 'a/b' does not match",
    "callers.trustedProxies[0]=loopback": "callers.trustedProxies needs callers.identity",
    "settings.emConcurency=4": "additional properties 'emConcurency' not allowed",
    "settings.lameDuck=5": "/settings/lameDuck': got number, want string",
    "settings.drainTimeout=20sec": "/settings/drainTimeout': '20sec' does not match",
    "settings.emBatch=151": "/settings/emBatch': maximum: got 151, want 150",
    "settings.workers=0": "/settings/workers': minimum: got 0, want 1",
    "settings.reuseCapacity=64MB": "/settings/reuseCapacity': '64MB' does not match",
    "autoscaling.minReplicas=13": "autoscaling.minReplicas is greater than autoscaling.maxReplicas",
    "networkPolicy.enterpriseManagerBlocks[0]=192.0.2.7": "/networkPolicy/enterpriseManagerBlocks/0': '192.0.2.7' does",
    "extraEnv[0].name=GATEWAY_LISTEN,extraEnv[0].value=x": "extraEnv must not set GATEWAY_LISTEN",
    "replicaCount=3": "additional properties 'replicaCount' not allowed",
}


def main() -> None:
    says = Help(subprocess.run([PROGRAM, "serve", "--help"], capture_output=True, text=True, check=True).stdout)
    values.check_documents(CHART, Path(PROGRAM))
    check_versions()
    check_lint()
    for mesh, overlay in MESHES.items():
        objects = template("--values", CHART / f"examples/{mesh}.yaml")
        same_as_the_overlay(objects, Path(FOLDER) / f"{overlay}.yaml")
        check_everything(mesh, says)
    check_that_every_setting_can_be_set(says)
    check_values_that_follow_from_others()
    check_two_releases()
    check_as_a_dependency()
    for wrong, message in WRONG.items():
        shown = helm("template", NAME, CHART, "--values", CHART / "examples/none.yaml", "--set", wrong, fails=True)
        expect(message in shown, f"--set {wrong} ends with {shown!r}, which does not say {message!r}")
    print(f"chart: equal to {len(MESHES)} overlays; it refuses {len(WRONG)} wrong values with a clear message", flush=True)


def helm(*arguments: object, fails: bool = False) -> str:
    """What helm prints on standard output or, if it has to fail, on standard error."""
    done = subprocess.run([HELM, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    expect((done.returncode != 0) == fails, f"helm {arguments} ends with {done.returncode}: {done.stderr}")
    return done.stderr if fails else done.stdout


def template(*arguments: object, name: str = NAME) -> list:
    shown = helm("template", name, CHART, "--namespace", NAME, *arguments)
    return [each for each in yaml.safe_load_all(shown) if each]


def check_versions() -> None:
    version = re.search(r'^version = "(.+)"$', Path("Cargo.toml").read_text(), re.M)[1]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    expect(chart["version"] == chart["appVersion"] == version, f"the chart's versions are not {version}")


def check_lint() -> None:
    helm("lint", "--strict", CHART)
    for each in [*(CHART / "examples").iterdir(), EVERYTHING]:
        shown = helm("lint", "--strict", CHART, "--values", each)
        expect("[WARNING]" not in shown and "[ERROR]" not in shown, f"{each}: {shown}")


def same_as_the_overlay(objects: list, overlay: Path) -> None:
    of_overlay = [each for each in yaml.safe_load_all(overlay.read_text()) if each]
    own, other = normal(objects), normal(of_overlay)
    expect(own.keys() == other.keys(), f"{overlay}: only one has {sorted(own.keys() ^ other.keys())}")
    for key, each in own.items():
        for path, one, two in differences(each, other[key], ""):
            sys.exit(f"error: {overlay}, {key}: {path} is {one!r} in the chart and {two!r} in the overlay")


def normal(objects: list) -> dict:
    """The objects by kind and name, without what Helm and kustomize have to do differently."""
    kinds = {each["kind"]: each for each in objects}
    settings = kinds["ConfigMap"]["data"]
    pod = kinds["Deployment"]["spec"]["template"]
    container = only(each for each in pod["spec"]["containers"] if each["name"] == "gateway")
    name = kinds["ConfigMap"]["metadata"]["name"]
    expect(container["envFrom"] == [{"configMapRef": {"name": name}}], "the pod has other settings")
    # Where a setting stands makes no difference: in the ConfigMap or in the pod.
    del container["envFrom"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    expect(len(variables) == len(container["env"]) and not variables.keys() & settings.keys(), "a setting stands twice")
    container["env"] = [{"name": name, "value": value} for name, value in (settings | variables).items()]
    # A changed setting replaces the pods: in the overlays, since the ConfigMap has another name.
    annotations = pod["metadata"].get("annotations", {})
    annotations.pop("checksum/settings", None)
    if not annotations:
        pod["metadata"].pop("annotations", None)
    return {(e["kind"], e["metadata"]["name"]): without_helm(e) for e in objects if e["kind"] != "ConfigMap"}


def without_helm(part: object, field: str = "") -> object:
    if isinstance(part, dict):
        for name, value in OF_HELM.items():
            expect(name not in part or value in (None, part[name]), f"{name} is {part.get(name)!r}")
        return {name: without_helm(value, name) for name, value in part.items() if name not in OF_HELM}
    if isinstance(part, list):
        parts = [without_helm(each) for each in part]
        return sorted(parts, key=lambda each: each["name"]) if field in UNORDERED else parts
    return part


def differences(one: object, other: object, path: str):
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() | other.keys():
            yield from differences(one.get(name), other.get(name), f"{path}.{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (first, second) in enumerate(zip(one, other)):
            yield from differences(first, second, f"{path}[{number}]")
    elif one != other:
        yield path, one, other


def check_everything(mesh: str, says: Help) -> None:
    """All values together give valid objects, which only name variables that the program has."""
    tls = [] if mesh == "none" else ["--set", "tls.enabled=false"]
    identity = ["--set", "callers.identity=xfcc"] if mesh == "none" else []
    objects = template("--values", EVERYTHING, "--set", f"mesh={mesh}", *tls, *identity)
    for each in objects:
        check_schema(each)
        expect(each["metadata"]["labels"]["team"] == "reports", f"{each['kind']} lacks the labels of all objects")
        expect(each["metadata"]["namespace"] == NAME, f"{each['kind']} is in another namespace")
    unknown = {name for name in variables(objects) if name.startswith("GATEWAY_")} - says.known
    expect(not unknown, f"the program does not know {sorted(unknown)}")
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    expect("runAsUser" not in pod["securityContext"], "null does not remove a default")
    expect(pod["containers"][0]["image"].endswith("@sha256:" + "0123456789abcdef" * 4), pod["containers"][0]["image"])


def check_that_every_setting_can_be_set(says: Help) -> None:
    """Nobody needs GATEWAY_ variables in extraEnv, which are refused."""
    every = ["--set", "callers.identity=xfcc"]
    objects = template("--values", EVERYTHING, *every)
    set_here = set(variables(objects))
    set_here |= set(variables(template("--values", EVERYTHING, *every, "--set", AUTHORITY)))
    expect(says.known <= set_here, f"no value sets {sorted(says.known - set_here)}")
    expect(variables(objects)["GATEWAY_MAX_WATCHES"] == "1000000", "large numbers are not written out")


AUTHORITY = "enterpriseManager.pins=null,enterpriseManager.pinKey=,enterpriseManager.caKey=em.pem"


def check_values_that_follow_from_others() -> None:
    """Times and ports that depend on other values, with the values of `everything.yaml`."""
    # Lame duck 7.5 s, drain 60 s, logoff and traces 4 s; longest deadline 90 s.
    istio = template("--values", EVERYTHING, "--set", "mesh=istio,tls.enabled=false")
    linkerd = template("--values", EVERYTHING, "--set", "mesh=linkerd,tls.enabled=false")
    for objects in (istio, linkerd):
        pod = one(objects, "Deployment")["spec"]["template"]["spec"]
        expect(pod["terminationGracePeriodSeconds"] == 78, "the grace period does not follow from the times to stop")
        rules = one(objects, "NetworkPolicy")["spec"]["egress"]
        left = [port["port"] for rule in rules for port in rule.get("ports", [])]
        expect({9399, 14317} <= set(left), f"connections may leave to {left}")
    notes = annotations(istio)
    expect(notes["traffic.sidecar.istio.io/excludeOutboundPorts"] == "9399", f"{notes}")
    expect('MINIMUM_DRAIN_DURATION: "9s"' in notes["proxy.istio.io/config"], f"{notes}")
    expect(one(istio, "VirtualService")["spec"]["http"][2]["timeout"] == "91s", "the timeout of calls")
    expect(one(istio, "VirtualService")["spec"]["hosts"] == [f"sessions.{NAME}.svc.cluster.example"], "the host")
    allowed = one(istio, "AuthorizationPolicy")["spec"]["rules"][0]["from"][0]["source"]["principals"]
    ids = [f"mesh.example/ns/{each}" for each in ("reports/sa/nightly", "billing/sa/*")]
    expect(allowed == ["billing.example", *ids], allowed)
    notes = annotations(linkerd)
    expect(notes["config.linkerd.io/skip-outbound-ports"] == "9399", f"{notes}")
    expect(notes["config.alpha.linkerd.io/proxy-wait-before-exit-seconds"] == "73", f"{notes}")
    route = one([e for e in linkerd if e["metadata"]["name"].endswith("-calls")], "GRPCRoute")
    expect(route["metadata"]["annotations"]["timeout.linkerd.io/request"] == "91s", f"{route}")
    allowed = one(linkerd, "MeshTLSAuthentication")["spec"]["identities"]
    ids = [f"{each}.serviceaccount.identity.l5d.mesh.example" for each in ("nightly.reports", "*.billing")]
    expect(allowed == ["billing.example", *ids], allowed)
    # A changed setting replaces the pods; whatever else is changed does not.
    sums = {annotations(template("--values", CHART / "examples/none.yaml", *more))["checksum/settings"]
            for more in ([], ["--set", "serviceMonitor.enabled=false"], ["--set", "settings.workers=3"])}  # fmt: skip
    expect(len(sums) == 2, "the checksum does not follow the settings alone")
    # The default ports of an address without one.
    for url, port in {"https://em.example": 443, "http://em.example/path": 80, "https://[fd00::7]:9398": 9398}.items():
        only_url = f"enterpriseManager.url={url},enterpriseManager.allowPlaintext=true"
        policy = one(template("--values", CHART / "examples/none.yaml", "--set", only_url), "NetworkPolicy")["spec"]
        expect(policy["egress"][1]["ports"] == [{"port": port}], f"{url}: {policy['egress'][1]}")
    # Without the autoscaler the number of replicas stands in the Deployment.
    fixed = template("--values", CHART / "examples/none.yaml", "--set", "autoscaling.enabled=false,replicas=2")
    expect(one(fixed, "Deployment")["spec"]["replicas"] == 2, "the number of replicas")
    expect(all(each["kind"] != "HorizontalPodAutoscaler" for each in fixed), "there is an autoscaler")


def check_two_releases() -> None:
    """Two releases in one namespace have no object in common, and select their own pods only."""
    first, second = (template("--values", CHART / "examples/none.yaml", name=name) for name in ("day", "night"))
    names = [{(each["kind"], each["metadata"]["name"]) for each in objects} for objects in (first, second)]
    expect(not names[0] & names[1], f"both have {names[0] & names[1]}")
    labels = one(second, "Deployment")["spec"]["template"]["metadata"]["labels"]
    for each in first:
        selector = each["spec"].get("selector", {}) if each["kind"] == "Service" else None
        expect(selector is None or not selector.items() <= labels.items(), f"{each['kind']} selects another's pods")


def check_as_a_dependency() -> None:
    """Another chart can have this one as a dependency, with global values, which the schema lets pass."""
    with tempfile.TemporaryDirectory() as folder:
        parent = Path(folder) / "parent"
        (parent / "charts").mkdir(parents=True)
        helm("package", CHART, "--destination", parent / "charts")
        (parent / "Chart.yaml").write_text("apiVersion: v2\nname: parent\nversion: 1.0.0\n")
        own = yaml.safe_load((CHART / "examples/none.yaml").read_text())
        (parent / "values.yaml").write_text(yaml.safe_dump({"global": {"region": "north"}, NAME: own}))
        shown = helm("template", NAME, parent, "--namespace", NAME)
    objects = [each for each in yaml.safe_load_all(shown) if each]
    alone = template("--values", CHART / "examples/none.yaml")
    expect(normal(objects) == normal(alone), "as a dependency, the chart gives other objects")


def one(objects: list, kind: str) -> dict:
    return only(each for each in objects if each["kind"] == kind)


def annotations(objects: list) -> dict:
    return one(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"]


def variables(objects: list) -> dict:
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    own = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    return one(objects, "ConfigMap")["data"] | own


main()
