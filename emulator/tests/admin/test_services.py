from gar_emulator.admin import iam, resourcemanager, serviceusage
from gar_emulator.admin.services import SERVICES
from gar_emulator.artifact_registry import api
from gar_emulator.tokens import iamcredentials, sts


def test_services_are_hosts_of_the_emulator() -> None:
    hosts = [module.HOST for module in (iam, iamcredentials, resourcemanager, api, serviceusage, sts)]
    assert sorted(SERVICES) == sorted(hosts)
