//! kcat, as Debian has it: another version of the client, and what people use to look.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::cluster::{Cluster, unique};

fn kcat(cluster: &Cluster, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("kcat")
        .args(["-b", &cluster.brokers, "-q"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kcat is installed: ci/install does it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "kcat {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_lists_writes_reads_and_asks_for_offsets() {
    let cluster = Cluster::start();
    let topic = cluster.topic(2);
    let listed = kcat(&cluster, &["-L", "-t", &topic], "");
    assert!(listed.contains(&format!("topic \"{topic}\" with 2 partitions")), "{listed}");
    kcat(&cluster, &["-P", "-t", &topic, "-p", "1", "-K", ":"], "k1:one\nk2:two\n");
    let read = kcat(
        &cluster,
        &["-C", "-t", &topic, "-p", "1", "-o", "beginning", "-e", "-f", "%o %k %s\n"],
        "",
    );
    assert_eq!(read, "0 k1 one\n1 k2 two\n");
    let offset = kcat(&cluster, &["-Q", "-t", &format!("{topic}:1:-1")], "");
    assert_eq!(offset.trim(), format!("{topic} [1] offset 2"));
}

#[test]
fn it_writes_idempotently_and_in_transactions() {
    let cluster = Cluster::start();
    let topic = cluster.topic(1);
    let idempotent = ["-P", "-t", &topic, "-p", "0", "-X", "enable.idempotence=true"];
    kcat(&cluster, &idempotent, "one\ntwo\n");
    let id = format!("transactional.id={}", unique("kcat"));
    kcat(&cluster, &["-P", "-t", &topic, "-p", "0", "-X", &id], "three\n");
    let reading =
        ["-C", "-t", &topic, "-p", "0", "-o", "0", "-e", "-X", "isolation.level=read_committed"];
    assert_eq!(kcat(&cluster, &reading, ""), "one\ntwo\nthree\n");
}

#[test]
fn it_joins_a_group() {
    let cluster = Cluster::start();
    let topic = cluster.topic(3);
    for partition in ["0", "1", "2"] {
        kcat(&cluster, &["-P", "-t", &topic, "-p", partition], "x\n");
    }
    let group = unique("kcat");
    let arguments = ["-X", "auto.offset.reset=earliest", "-c", "3", "-G", &group, &topic];
    assert_eq!(kcat(&cluster, &arguments, ""), "x\nx\nx\n");
}
