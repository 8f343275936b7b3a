//! What a test needs and not every machine has. A test that cannot run says so past the test
//! runner, which hides what passing tests print; where it must run (CI), it fails.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::io::Write as _;

/// `=1`: Kafka, container images and a small disk must be there.
pub const SERVICES: &str = "STORMPROOF_REQUIRE_SERVICES";
/// `=1`: a MySQL or MariaDB server must be there.
pub const MYSQL: &str = "STORMPROOF_REQUIRE_MYSQL";
/// `=1`: kcat must be there.
pub const KCAT: &str = "STORMPROOF_REQUIRE_KCAT";
/// The folder of a Kafka distribution.
pub const KAFKA_HOME: &str = "KAFKA_HOME";

/// The value of a variable that `test` needs, or word that it does not run without.
pub fn variable(test: &str, required_by: &str, name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    has(test, required_by, value.is_some(), &format!("{name} is not set"));
    value
}

/// The server that tests may use, as a URL.
pub fn mysql(test: &str) -> Option<String> {
    variable(test, MYSQL, "STORMPROOF_TEST_MYSQL_URL")
}

/// Whether `test` can run; else says why not, and fails where `required_by` is set.
pub fn has(test: &str, required_by: &str, is_there: bool, else_because: &str) -> bool {
    let is_required = std::env::var(required_by).is_ok_and(|value| value == "1");
    assert!(is_there || !is_required, "{test} cannot run: {else_because} ({required_by}=1)");
    if !is_there {
        let _ = writeln!(std::io::stderr(), "NOT RUN: {test}: {else_because}");
    }
    is_there
}
