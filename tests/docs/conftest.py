import psycopg
import pymysql
import pytest

from headrace.storage.hdfs import server_of
from headrace.storage.sftp import fingerprint
from tests.api.servers import Server
from tests.checkpoint.s3 import Imitation
from tests.connectors import mysql, postgresql
from tests.storage.vsftpd import Pyftpdlib

PLACES = {
    "db.example.com:5432/shop": "postgresql_address",
    "db.example.com/shop": "postgresql_address",
    "mysql.example.com:3306/shop": "mariadb_address",
    "http://minio.example.com:9000": "s3_endpoint",
    "oss-cn-hangzhou.aliyuncs.com": "s3_endpoint",
    "obs.cn-north-4.myhuaweicloud.com": "s3_endpoint",
    'region = "ap-chengdu"': "cos_region",
    '"ftp.example.com"\n    port = 21': "ftp_address",
    '"sftp.example.com"\n    port = 22': "sftp_address",
    "hdfs://namenode.example.com:9000": "hdfs_address",
    "SHA256:m2kTZbyW8bKYfVbqxNXfmJ2XU4SU7BKpMDBgIkhnUyM": "sftp_host_key",
}
"""What the docs call a server → the fixture that starts one and gives its address."""


@pytest.fixture
def places(request):
    """What stands here for the servers that a text names; they are started when the first text does."""
    return lambda text: {place: request.getfixturevalue(name) for place, name in PLACES.items() if place in text}


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server") / "home").start()
    yield running
    running.stop()


@pytest.fixture(scope="package")
def postgresql_address():
    """host:port/database of an empty database in which `ann` may do everything."""
    if "15" not in postgresql.programs():
        pytest.skip("PostgreSQL 15 is not installed: scripts/test does it")
    running = postgresql.new_server("15")
    running.query("CREATE ROLE ann LOGIN SUPERUSER")
    running.query("CREATE DATABASE shop TEMPLATE template0")
    yield f"127.0.0.1:{running.port}/shop"
    postgresql.remove(running)


@pytest.fixture(scope="package")
def hdfs_address(hdfs):
    """The URL of a cluster in which `ann` may write into /warehouse."""
    server_of(hdfs.place(user=hdfs.owner)).make_folder("/warehouse")
    hdfs.set_mode("/warehouse", 0o777)
    return hdfs.place().fs


@pytest.fixture(scope="package")
def mariadb_address():
    """Likewise of MariaDB."""
    if reason := mysql.why_not("mariadb"):
        pytest.skip(reason)
    running = mysql.new_server("mariadb")
    running.query("CREATE USER ann@'127.0.0.1' IDENTIFIED BY 'secret'")
    running.query("GRANT ALL PRIVILEGES ON *.* TO ann@'127.0.0.1'")
    running.query("CREATE DATABASE shop CHARACTER SET utf8mb4")
    yield f"127.0.0.1:{running.port}/shop"
    mysql.remove(running)


@pytest.fixture(scope="package")
def s3_endpoint():
    """An S3 server with a bucket called `bucket`."""
    running = Imitation().start()
    yield running.endpoint
    running.stop()


@pytest.fixture
def cos_region(s3_endpoint):
    """Another place than the region's, as options."""
    return f'region = "ap-chengdu"\n    endpoint = "{s3_endpoint}"'


@pytest.fixture(scope="package")
def ftp_address():
    """Host and port of an FTP server on which `ann` may do everything, as options."""
    running = Pyftpdlib(password="secret").make().start()
    yield f'"127.0.0.1"\n    port = {running.port}'
    running.remove()


@pytest.fixture
def sftp_address(sshd):
    """Host and port of an SFTP server on which `ann` may do everything, as options."""
    return f'"127.0.0.1"\n    port = {sshd.port}'


@pytest.fixture
def sftp_host_key(sshd):
    return fingerprint((sshd.folder / "host.pub").read_text())


def fill(place, address, statements):
    """Empty the database that the docs call `place` and run statements in it."""
    host, port, name = address.replace("/", ":").split(":")
    if place.startswith("mysql"):
        connection = pymysql.connect(host=host, port=int(port), user="ann", password="secret", autocommit=True)
        empty = f"DROP DATABASE {name}; CREATE DATABASE {name}; USE {name};"
    else:
        connection = psycopg.connect(f"host={host} port={port} user=ann dbname={name}", autocommit=True)
        empty = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
    with connection, connection.cursor() as cursor:
        for statement in filter(None, map(str.strip, f"{empty} {statements}".split(";"))):
            cursor.execute(statement)
