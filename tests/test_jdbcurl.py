import pytest

from headrace.jdbcurl import JdbcUrl, parse_jdbc_url


@pytest.mark.parametrize(
    ("url", "kind", "place", "parameters"),
    [
        ("jdbc:sqlite:/data/a b.db", "sqlite", "/data/a b.db", {}),
        ("jdbc:sqlite:shop.db?busy_timeout=5000", "sqlite", "shop.db", {"busy_timeout": "5000"}),
        ("JDBC:SQLite:C:/shop.db", "sqlite", "C:/shop.db", {}),
        ("jdbc:sqlite:file:///data/a%20b.db?mode=ro", "sqlite", "/data/a b.db", {"mode": "ro"}),
        ("jdbc:mysql://host:3306/db?a=b&c=", "mysql", "//host:3306/db", {"a": "b", "c": ""}),
    ],
)
def test_a_url_is_taken_apart(url, kind, place, parameters):
    assert parse_jdbc_url(url) == JdbcUrl(kind, place, parameters)


@pytest.mark.parametrize("url", ["", "sqlite:/data/shop.db", "jdbc:", "jdbc:sqlite", "/data/shop.db"])
def test_what_is_no_url_is_told_what_one_looks_like(url):
    with pytest.raises(ValueError, match="one looks like jdbc:sqlite:/data/shop.db"):
        parse_jdbc_url(url)
