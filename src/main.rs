fn main() -> std::process::ExitCode {
    minirun::main()
}
