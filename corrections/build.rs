//! Corrects librdkafka's sources where its own build has left them, and compiles those files.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// One place in one file.
struct Correction {
    file: &'static str,
    issue: u32,
    /// Stands in the file once.
    wrong: &'static str,
    right: &'static str,
}

const CORRECTIONS: &[Correction] = &[Correction {
    file: "rdkafka_fetcher.c",
    issue: 5280,
    wrong: "                                changed_partition++;
                        }
                        changed_topic++;
",
    right: "                                changed_partition++;
                        }
                        md->topics[changed_topic].partition_cnt = changed_partition;
                        changed_topic++;
",
}];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Where librdkafka was built; unset when the system's is linked, which is its packager's to
    // correct.
    let Some(root) = env::var_os("DEP_RDKAFKA_ROOT").map(PathBuf::from) else {
        println!("cargo:warning=librdkafka is not built here, and is linked without corrections");
        return;
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut build = cc::Build::new();
    build.include(root.join("src")).warnings(false).link_lib_modifier("+whole-archive");
    for correction in CORRECTIONS {
        build.file(correct(correction, &root, &out));
    }
    build.compile("rdkafka-corrections");
}

fn correct(correction: &Correction, root: &Path, out: &Path) -> PathBuf {
    let Correction { file, issue, wrong, right } = correction;
    let source = root.join("src").join(file);
    let text = fs::read_to_string(&source)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", source.display()));
    assert!(
        text.matches(wrong).count() == 1,
        "{file} of librdkafka has changed: see whether its issue {issue} is closed, and remove the \
         correction in corrections/build.rs, or write it anew"
    );
    let corrected = out.join(file);
    fs::write(&corrected, text.replacen(wrong, right, 1))
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", corrected.display()));
    corrected
}
