"""What differs most between MariaDB and MySQL 5.6, in every run; all tests of MySQL run on it with `--all`."""

import pytest

from tests.connectors import test_jdbc_mysql, test_jdbc_mysql_loading

pytestmark = pytest.mark.service

typed = test_jdbc_mysql.typed
test_types_are_read = test_jdbc_mysql.test_values_of_every_type_are_read
test_types_are_written = test_jdbc_mysql.test_values_of_every_type_are_the_same_in_a_table_of_the_same_types
test_refused_rows = test_jdbc_mysql.test_refused_rows_go_aside_with_the_reason_and_the_others_arrive
test_kinds = test_jdbc_mysql.test_all_four_kinds_of_rows_change_the_target
test_loads = test_jdbc_mysql_loading.test_rows_are_loaded_where_the_server_allows_it_and_inserted_where_not
test_texts = test_jdbc_mysql_loading.test_every_text_and_every_byte_comes_as_it_is
test_loads_are_inserts = test_jdbc_mysql_loading.test_what_is_written_and_what_is_refused_is_the_same_as_by_insert


@pytest.fixture
def store(old_store):
    """A new database of MySQL 5.6."""
    return old_store
