//! The `stormproof` binary; all of it is in the library.

fn main() -> std::process::ExitCode {
    stormproof_harness::cli::main()
}
