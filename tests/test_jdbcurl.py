import pytest

from headrace.jdbcurl import JdbcUrl, Server, parse_jdbc_url, parse_servers


@pytest.mark.parametrize(
    ("url", "kind", "place", "parameters"),
    [
        ("jdbc:sqlite:/data/a b.db", "sqlite", "/data/a b.db", {}),
        ("jdbc:sqlite:shop.db?busy_timeout=5000", "sqlite", "shop.db", {"busy_timeout": "5000"}),
        ("JDBC:SQLite:C:/shop.db", "sqlite", "C:/shop.db", {}),
        ("jdbc:postgresql://h:1,i/shop?a=b%20c&d=", "postgresql", "//h:1,i/shop", {"a": "b c", "d": ""}),
    ],
)
def test_urls_are_taken_apart(url, kind, place, parameters):
    assert parse_jdbc_url(url) == JdbcUrl(kind, place, parameters)


@pytest.mark.parametrize("url", ["", "sqlite:/data/shop.db", "jdbc:", "jdbc:sqlite", "/data/shop.db"])
def test_what_is_no_url_is_told_with_the_right_form(url):
    with pytest.raises(ValueError, match="one looks like jdbc:postgresql://db.example.com:5432/shop"):
        parse_jdbc_url(url)


@pytest.mark.parametrize(
    ("place", "servers", "database"),
    [
        ("//db", [("db", 0)], ""),
        ("//db:5433/shop", [("db", 5433)], "shop"),
        ("//a:1,b,[::1]:2,[fe80::1]/a%20b", [("a", 1), ("b", 0), ("::1", 2), ("fe80::1", 0)], "a b"),
    ],
)
def test_all_servers_of_a_url_are_told(place, servers, database):
    assert parse_servers(place) == (tuple(Server(*server) for server in servers), database)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("db/shop", "two slashes"),
        ("//u:secret@db/shop", "options of their own"),
        ("//::1:5432/shop", "IPv6"),
        ("//db:99999/shop", "'99999' is not a port"),
        ("//db:x/shop", "'x' is not a port"),
    ],
)
def test_servers_that_cannot_be_read_are_told(place, said):
    with pytest.raises(ValueError, match=said) as error:
        parse_servers(place)
    assert "secret" not in str(error.value)
