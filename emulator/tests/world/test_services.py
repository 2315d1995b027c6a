from gar_emulator.admin import iam, resourcemanager, serviceusage
from gar_emulator.artifact_registry import api
from gar_emulator.tokens import iamcredentials, sts
from gar_emulator.world.services import SERVICES


def test_services_are_hosts_of_the_emulator() -> None:
    hosts = [module.HOST for module in (iam, iamcredentials, resourcemanager, api, serviceusage, sts)]
    assert sorted(SERVICES) == sorted(hosts)
