"""Holds one rendered overlay against the schemas and against the program."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import kubernetes_validate
import yaml
from cloudcoil.models.istio.networking import v1 as networking
from cloudcoil.models.istio.security import v1 as security
from cloudcoil.models.prometheus_operator import v1 as monitoring
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CUSTOM = {
    "networking.istio.io/v1": networking,
    "security.istio.io/v1": security,
    "monitoring.coreos.com/v1": monitoring,
}
# Linkerd's schemas are in no package registry: its three objects are only built, not held against one.
WITHOUT_SCHEMA = {"policy.linkerd.io/v1beta3", "policy.linkerd.io/v1alpha1"}

LOGOFF = 2.0


def main() -> None:
    rendered, program = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    objects = [each for each in yaml.safe_load_all(rendered.read_text()) if each]
    for each in objects:
        check_schema(each)
    kinds = {each["kind"]: each for each in objects}
    deployment = kinds["Deployment"]["spec"]
    pod = deployment["template"]["spec"]
    container = only(c for c in pod["containers"] if c["name"] == "gateway")
    settings = environment(container, kinds["ConfigMap"])

    check_settings_are_known(settings, program)
    check_ports(objects, kinds, container, settings)
    check_times(pod, settings)
    check_memory(container, settings, program)
    check_hardening(pod, container)
    check_selectors(kinds, deployment)
    check_program_starts(container, pod, settings, program)
    print(f"{rendered.stem}: {len(objects)} objects are valid and fit the program")


def check_schema(each: dict) -> None:
    version, kind = each["apiVersion"], each["kind"]
    if version in CUSTOM:
        model = getattr(CUSTOM[version], kind).model_validate(each)
        understood = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
        # What the schema does not know has been dropped on the way.
        expect(json_equal(understood, each), f"{kind} has fields that its schema does not know")
    elif version not in WITHOUT_SCHEMA:
        kubernetes_validate.validate(each, "1.37", strict=True)


def json_equal(one: object, other: object) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def environment(container: dict, config_map: dict) -> dict:
    only(
        source
        for source in container["envFrom"]
        if source["configMapRef"]["name"] == config_map["metadata"]["name"]
    )
    own = {each["name"]: each["value"] for each in container["env"]}
    return {**config_map["data"], **own}


def check_settings_are_known(settings: dict, program: Path) -> None:
    shown = subprocess.run([program, "serve", "--help"], capture_output=True, text=True, check=True)
    known = set(re.findall(r"\bGATEWAY_[A-Z0-9_]+", shown.stdout))
    expect(known, "the program names no variables")
    unknown = set(settings) - known
    expect(not unknown, f"the program does not know {sorted(unknown)}")


def check_ports(objects: list, kinds: dict, container: dict, settings: dict) -> None:
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    expect(ports["grpc"] == port_of(settings["GATEWAY_LISTEN"]), "the gRPC port differs")
    expect(ports["admin"] == port_of(settings["GATEWAY_ADMIN_LISTEN"]), "the admin port differs")
    image = dict(re.findall(r"(GATEWAY_\w+)=(\S+)", Path("Dockerfile").read_text()))
    for name in ("GATEWAY_LISTEN", "GATEWAY_ADMIN_LISTEN"):
        expect(image[name] == settings[name], f"{name} in the image differs")
    for each in objects:
        if each["kind"] == "Service":
            for port in each["spec"]["ports"]:
                expect(ports[port["targetPort"]] == port["port"], f"port {port} leads nowhere")
    expect(
        container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}
        and container["startupProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}
        and container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "admin"},
        "a probe asks something that the gateway does not serve",
    )
    allowed = [port["port"] for rule in policy_rules(kinds, "egress") for port in rule["ports"]]
    expect(port_of(settings["GATEWAY_EM_URL"]) in allowed, "the policy shuts Enterprise Manager out")
    entered = [port["port"] for rule in policy_rules(kinds, "ingress") for port in rule["ports"]]
    expect({"grpc", "admin"} <= set(entered), "the policy shuts callers or Prometheus out")


def policy_rules(kinds: dict, direction: str) -> list:
    return kinds["NetworkPolicy"]["spec"][direction]


def check_times(pod: dict, settings: dict) -> None:
    lame_duck = seconds(settings["GATEWAY_LAME_DUCK"])
    needed = lame_duck + seconds(settings["GATEWAY_DRAIN_TIMEOUT"]) + LOGOFF
    grace = pod["terminationGracePeriodSeconds"]
    expect(grace >= needed + 3, f"the grace of {grace} s is too short for {needed} s and a margin")
    container = only(c for c in pod["containers"] if c["name"] == "gateway")
    probe = container["readinessProbe"]
    noticed = probe["periodSeconds"] * probe["failureThreshold"]
    expect(lame_duck > noticed, "the lame duck is over before the probe has noticed")


def check_memory(container: dict, settings: dict, program: Path) -> None:
    shown = subprocess.run([program, "serve", "--help"], capture_output=True, text=True, check=True)

    def setting(name: str) -> int:
        default = re.search(rf"GATEWAY_{name}=\]\s+\[default:\s+(\w+)\]", shown.stdout)
        return int(settings.get(f"GATEWAY_{name}", default and default[1]).removesuffix("MiB"))

    # docs/scaling.md has measured what these cost, in MiB.
    needed = 25 + setting("REUSE_CAPACITY")
    needed += setting("MAX_CONNECTIONS") * 50 / 1024 + setting("MAX_IN_FLIGHT") * 16 / 1024
    limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))
    expect(limit >= 1.5 * needed, f"{limit} MiB are too few for {needed:.0f} MiB and a margin")


def check_hardening(pod: dict, container: dict) -> None:
    own, all_of_it = container["securityContext"], pod["securityContext"]
    image_user = re.search(r"^USER (\d+):\d+$", Path("Dockerfile").read_text(), re.M)[1]
    expect(all_of_it["runAsUser"] == int(image_user), "the pod's user is not the image's")
    expect(
        all_of_it["runAsNonRoot"]
        and all_of_it["seccompProfile"] == {"type": "RuntimeDefault"}
        and own["readOnlyRootFilesystem"]
        and own["allowPrivilegeEscalation"] is False
        and own["capabilities"] == {"drop": ["ALL"]},
        "the pod does not keep to the restricted standard",
    )


def check_selectors(kinds: dict, deployment: dict) -> None:
    labels = deployment["template"]["metadata"]["labels"].items()
    name = {"app.kubernetes.io/name": "replica-session-gateway"}
    for selector in (
        deployment["selector"]["matchLabels"],
        kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        expect(selector == name and selector.items() <= labels, f"{selector} selects other pods")
    caller = policy_rules(kinds, "ingress")[0]["from"][0]["podSelector"]["matchLabels"]
    expect(caller == {"replica-session-gateway/caller": "true"}, "callers need another label too")
    scaled = kinds["HorizontalPodAutoscaler"]["spec"]
    expect(scaled["scaleTargetRef"]["name"] == kinds["Deployment"]["metadata"]["name"], "scales what?")
    expect(scaled["minReplicas"] == deployment["replicas"] == 3, "the least number of replicas differs")


def check_program_starts(container: dict, pod: dict, settings: dict, program: Path) -> None:
    """Starts the program with the pod's very settings, but on other ports and in another folder."""
    with tempfile.TemporaryDirectory() as folder:
        secrets = {each["name"]: each["secret"] for each in pod["volumes"]}
        for mount in container["volumeMounts"]:
            place = Path(folder + mount["mountPath"])
            place.mkdir(parents=True)
            if secrets[mount["name"]]["secretName"].endswith("-tls"):
                write_certificate(place)
            else:
                (place / "password").write_text("secret")
        given = {
            name: folder + value if value.startswith("/run/secrets/") else value
            for name, value in settings.items()
        }
        given |= {"GATEWAY_LISTEN": "127.0.0.1:0", "GATEWAY_ADMIN_LISTEN": "127.0.0.1:0"}
        given |= {"GATEWAY_LAME_DUCK": "0s"}
        run = subprocess.Popen([program, *container["args"]], env=given, stderr=subprocess.PIPE, text=True)
        try:
            first = run.stderr.readline()
            expect('"message":"serving"' in first, f"the program does not start: {first}")
            os.kill(run.pid, signal.SIGTERM)
            expect(run.wait(timeout=30) == 0, "the program does not end well")
        finally:
            run.kill()
            run.wait()


def write_certificate(place: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    (place / "tls.crt").write_bytes(certificate)
    (place / "ca.crt").write_bytes(certificate)
    (place / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def seconds(text: str) -> float:
    units = {"ms": 0.001, "s": 1, "m": 60}
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", text).groups()
    return int(number) * units[unit]


def port_of(address: str) -> int:
    return int(address.rsplit(":", 1)[1])


def only(found):
    (one,) = found
    return one


def expect(holds: object, otherwise: str) -> None:
    if not holds:
        sys.exit(f"error: {otherwise}")


main()
