"""Validates objects against the schemas of Kubernetes, Istio and the Prometheus operator."""

import json

import kubernetes_validate
from cloudcoil.models.istio.networking import v1 as networking
from cloudcoil.models.istio.security import v1 as security
from cloudcoil.models.prometheus_operator import v1 as monitoring

from common import expect

CUSTOM = {
    "networking.istio.io/v1": networking,
    "security.istio.io/v1": security,
    "monitoring.coreos.com/v1": monitoring,
}
# No Python package contains the schemas of Linkerd and of the Gateway API: these objects are only
# checked against the program.
WITHOUT_SCHEMA = {"policy.linkerd.io/v1beta3", "policy.linkerd.io/v1alpha1", "gateway.networking.k8s.io/v1"}


def check_schema(each: dict) -> None:
    version, kind = each["apiVersion"], each["kind"]
    if version in CUSTOM:
        model = getattr(CUSTOM[version], kind).model_validate(each)
        understood = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
        # The model drops fields that the schema does not know.
        expect(json_equal(understood, each), f"{kind} has fields that its schema does not know")
    elif version not in WITHOUT_SCHEMA:
        kubernetes_validate.validate(each, "1.37", strict=True)


def json_equal(one: object, other: object) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
