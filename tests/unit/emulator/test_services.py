from gar_publish.emulator import iamadmin, iamcredentials, resourcemanager, rest, serviceusage, sts
from gar_publish.emulator.services import SERVICES


def test_services_are_hosts_of_the_emulator() -> None:
    hosts = [module.HOST for module in (iamadmin, iamcredentials, resourcemanager, rest, serviceusage, sts)]
    assert sorted(SERVICES) == sorted(hosts)
