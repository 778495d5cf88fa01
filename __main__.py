"""The Itqan server: settings, parts in their order, outputs."""

from components.backups import Backups
from components.catcher import Catcher
from components.certificates import Certificates
from components.configuration import stack_settings
from components.connection import target_host
from components.cron import Cron
from components.database import Database
from components.dns import DnsWildcard
from components.hardening import Hardening
from components.host import Host
from components.logrotate import Logrotate
from components.nginx import Nginx
from components.observer import Observer
from components.outputs import export
from components.packages import Packages
from components.php import Php
from components.redis import Redis
from components.release import Release
from components.supervisor import Supervisor

settings = stack_settings()
target = target_host(settings)

host = Host(target)
packages = Packages(target, depends_on=[host])
hardening = Hardening(target, depends_on=[packages])
catcher = Catcher(target, depends_on=[packages])
database = Database(target, depends_on=[packages])
redis = Redis(target, depends_on=[packages])
php = Php(target, depends_on=[packages])
dns = DnsWildcard(target, depends_on=[packages])
certificates = Certificates(target, depends_on=[dns])
# a release runs PHP on the command line; FPM may still be reloading
release = Release(target, depends_on=[catcher, database, redis, php.until("php/cli-limits")])
nginx = Nginx(target, depends_on=[certificates, php])
supervisor = Supervisor(target, depends_on=[release])
cron = Cron(target, depends_on=[release])
logrotate = Logrotate(target, depends_on=[packages])
backups = Backups(target, depends_on=[release])
Observer(target, depends_on=[hardening, nginx, supervisor, cron, logrotate, backups])

export(target)
