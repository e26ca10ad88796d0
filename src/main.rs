fn main() -> std::process::ExitCode {
    minirun::cli::main()
}
