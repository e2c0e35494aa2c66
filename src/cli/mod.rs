//! Arguments and environment, and what each subcommand does with them.

pub mod check;
pub mod client;
#[cfg(feature = "simulator")]
pub mod demo;
mod sentence;
mod signals;
#[cfg(feature = "simulator")]
pub mod simulate;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand, error::ErrorKind};
use tokio::time::timeout;
use url::Url;

use self::{
    check::{CheckOptions, check},
    client::{
        Refusal,
        get::{GetOptions, get},
        health::{HealthOptions, health},
        list::{ListOptions, list},
        tasks::{TasksOptions, tasks},
        watch::{WatchOptions, watch},
    },
    sentence::sentence,
    signals::Signals,
};
#[cfg(feature = "simulator")]
use self::{
    demo::{Demo, DemoOptions},
    simulate::SimulateOptions,
};
use crate::{
    enterprise_manager::presented_certificate,
    operations::log,
    serve::{self, Running},
    settings::{LogFormat, ServeOptions, Settings},
};

/// Exit code for wrong settings and arguments: `EX_USAGE` of sysexits.h.
const EXIT_USAGE: u8 = 64;

/// Exit code for a server that cannot be reached: `EX_UNAVAILABLE`.
const EXIT_UNAVAILABLE: u8 = 69;

/// Exit code for a process that ends although nobody asked it to: `EX_SOFTWARE`.
const EXIT_SOFTWARE: u8 = 70;

/// Exit code for a process that a second signal ends at once, as shells count SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// gRPC gateway to the replica job sessions of Veeam Backup Enterprise Manager
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    ///
    /// Every option can also be set by the environment variable named behind it. Logs go to
    /// standard error. SIGTERM or SIGINT drains and stops; a second one ends at once.
    Serve(Box<ServeOptions>),
    /// Ask a gateway for one session and print it
    ///
    /// Exit codes: 0 answered, 64 bad input, 66 no such session, 69 unavailable, 70 internal
    /// error, 75 out of time or overloaded, 77 not allowed, 78 the gateway is not set up rightly.
    Get(GetOptions),
    /// Ask a gateway for sessions and print them, the latest first
    ///
    /// Exit codes: as for get; that there are no such sessions is an answer.
    List(Box<ListOptions>),
    /// Ask a gateway what a session did with each virtual machine, and why it failed
    ///
    /// Exit codes: as for get.
    Tasks(TasksOptions),
    /// Follow one session until its run is over, and tell how it went
    ///
    /// Shows a bar on a terminal, and one line per change otherwise. Lost connections and gateways
    /// that stop are waited out; a gateway that cannot be reached from the start is not.
    ///
    /// Exit codes: how the run went: 0 success, 1 warning, 2 failed, 3 stopped without a known result.
    /// Or why that is not known: as for get; 75 also when the run is not over within --timeout.
    Watch(WatchOptions),
    /// Ask a gateway whether it is well: for the health checks of containers
    ///
    /// Exit codes: 0 serving, 1 not serving, 64 bad input, 66 no such name, 69 no answer, 75 out of
    /// time.
    Health(HealthOptions),
    /// Check that the settings of serve work with this Enterprise Manager
    ///
    /// Takes the settings of serve. Resolves, connects, verifies TLS, recognises Enterprise Manager, logs on,
    /// looks what the account may do, lists and reads one session, logs off: a line each, with what to
    /// change where it fails. Reads only, and prints nothing that Enterprise Manager says but the id,
    /// time and state of one session.
    ///
    /// Exit codes, of the first step that failed: 0 all is well, 64 wrong settings, 69 Enterprise Manager
    /// cannot be reached, 70 it fails or cannot be understood, 73 the report cannot be written, 75 a step
    /// took too long, 77 the account may not read sessions, 78 the address, the certificate to trust or the
    /// password is wrong, 130 interrupted.
    Check(Box<CheckOptions>),
    /// Show the certificate that an Enterprise Manager presents, with its pin
    ///
    /// Nothing is verified and nothing is sent but a TLS handshake. Compare what is shown with what
    /// Enterprise Manager's administrator sees, then trust it with --em-pin-sha256.
    EmCertificate {
        /// Address of Enterprise Manager, for example <https://em.example:9398>
        url: Url,
    },
    /// Run a gateway with a simulated Enterprise Manager behind it
    #[cfg(feature = "simulator")]
    Demo(DemoOptions),
    /// Run the simulated Enterprise Manager alone
    #[cfg(feature = "simulator")]
    Simulate(SimulateOptions),
}

/// Parses the arguments and runs the subcommand.
pub fn run() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return explain(&error),
    };
    // Calls are served by workers; this one accepts them, and answers operators and signals.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            say(
                io::stderr(),
                &format!("error: no threads to run on: {error}\n"),
            );
            return ExitCode::from(EXIT_SOFTWARE);
        }
    };
    let exit_code = match command {
        Command::Serve(options) => runtime.block_on(run_serve(*options)),
        Command::Get(options) => runtime.block_on(printed(get(&options))),
        Command::List(options) => runtime.block_on(printed(list(&options))),
        Command::Tasks(options) => runtime.block_on(printed(tasks(&options))),
        Command::Watch(options) => runtime.block_on(run_watch(options)),
        Command::Health(options) => runtime.block_on(run_health(options)),
        Command::Check(options) => runtime.block_on(run_check(*options)),
        Command::EmCertificate { url } => runtime.block_on(run_em_certificate(&url)),
        #[cfg(feature = "simulator")]
        Command::Demo(options) => runtime.block_on(run_demo(options)),
        #[cfg(feature = "simulator")]
        Command::Simulate(options) => runtime.block_on(run_simulate(options)),
    };
    // A name look-up that hangs must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    exit_code.unwrap_or_else(|exit_code| exit_code)
}

async fn run_serve(options: ServeOptions) -> Result<ExitCode, ExitCode> {
    // Before anything else: a signal that comes while the gateway starts is not lost.
    let signals = Signals::new()?;
    start_log(options.log_format, &options.log_filter)?;
    let settings = options.check().map_err(|error| usage(&error.to_string()))?;
    raise_file_limit(&settings);
    let has_page_token_key = settings.page_token_key.is_some();
    let gateway = serve::start(settings).await;
    let gateway = gateway.map_err(|error| usage(&error.to_string()))?;
    if !has_page_token_key {
        tracing::info!("no --page-token-key-file: page tokens are guarded against accident only");
    }
    Ok(until_stopped(gateway, signals).await)
}

/// Takes as many file descriptors as the system gives: the usual soft limit is meant for programs
/// that use `select`.
fn raise_file_limit(settings: &Settings) {
    /// What else needs descriptors: EM, operators, the runtimes.
    const OTHERS: u64 = 64;
    let needed = settings.listener.max_connections as u64 + OTHERS;
    match rlimit::increase_nofile_limit(needed) {
        Ok(limit) if limit < needed => tracing::warn!(
            limit,
            "the limit of open files is below --max-connections and {OTHERS} more"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}

#[cfg(feature = "simulator")]
async fn run_demo(options: DemoOptions) -> Result<ExitCode, ExitCode> {
    let mut signals = Signals::new()?;
    start_log(LogFormat::Text, &options.log_filter)?;
    let demo = Demo::start(&options).await;
    let demo = demo.map_err(|error| usage(&error.to_string()))?;
    say(io::stdout(), &demo.heading());
    tokio::select! {
        answer = demo.ask() => say(io::stdout(), &answer),
        () = signals.next() => return Ok(ExitCode::SUCCESS),
    }
    say(io::stdout(), &demo.suggestions());
    let (gateway, _simulator) = demo.into_parts();
    Ok(until_stopped(gateway, signals).await)
}

#[cfg(feature = "simulator")]
async fn run_simulate(options: SimulateOptions) -> Result<ExitCode, ExitCode> {
    let mut signals = Signals::new()?;
    start_log(LogFormat::Text, &options.log_filter)?;
    let simulator = simulate::start(&options).await;
    let simulator =
        simulator.map_err(|error| usage(&format!("--listen: {}: {error}", options.listen)))?;
    say(io::stdout(), &simulate::heading(&simulator));
    signals.next().await;
    say(io::stdout(), &simulate::asked(&simulator));
    simulator.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn start_log(format: LogFormat, filter: &str) -> Result<(), ExitCode> {
    log::start(format, filter).map_err(|error| usage(&format!("--log-filter: {error}")))
}

/// Waits for a signal, then drains; a second signal ends the process at once.
async fn until_stopped(mut gateway: Running, mut signals: Signals) -> ExitCode {
    tokio::select! {
        () = signals.next() => {}
        () = gateway.ended() => {
            tracing::error!("the listener has ended by itself");
            return ExitCode::from(EXIT_SOFTWARE);
        }
    }
    tokio::select! {
        () = gateway.stop() => ExitCode::SUCCESS,
        () = signals.next() => {
            tracing::warn!("second signal: ending at once");
            ExitCode::from(EXIT_INTERRUPTED)
        }
    }
}

async fn printed(
    answer: impl Future<Output = Result<String, Refusal>>,
) -> Result<ExitCode, ExitCode> {
    let answer = answer.await.map_err(|refusal| refused(&refusal))?;
    say(io::stdout(), &answer);
    Ok(ExitCode::SUCCESS)
}

async fn run_watch(options: WatchOptions) -> Result<ExitCode, ExitCode> {
    let ended = watch(&options, &mut io::stdout(), &mut io::stderr()).await;
    let ended = ended.map_err(|refusal| refused(&refusal))?;
    Ok(ExitCode::from(ended.exit_code()))
}

async fn run_health(options: HealthOptions) -> Result<ExitCode, ExitCode> {
    let health = health(&options)
        .await
        .map_err(|refusal| refused(&refusal))?;
    say(io::stdout(), &format!("{}\n", health.text));
    Ok(if health.is_serving {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn refused(refusal: &Refusal) -> ExitCode {
    say(io::stderr(), &format!("error: {refusal}\n"));
    ExitCode::from(refusal.exit_code())
}

async fn run_check(options: CheckOptions) -> Result<ExitCode, ExitCode> {
    let mut signals = Signals::new()?;
    let exit_code = check(options, &mut io::stdout(), signals.next()).await;
    Ok(ExitCode::from(exit_code))
}

async fn run_em_certificate(url: &Url) -> Result<ExitCode, ExitCode> {
    const LONGEST: Duration = Duration::from_secs(10);
    let presented = timeout(LONGEST, presented_certificate(url)).await;
    let presented = presented.unwrap_or_else(|_| Err(format!("no answer within {LONGEST:?}")));
    let certificate = presented.map_err(|why| {
        say(io::stderr(), &format!("error: {url}: {why}\n"));
        ExitCode::from(EXIT_UNAVAILABLE)
    })?;
    let names = certificate.names.join(", ");
    let names = if names.is_empty() { "none" } else { &names };
    let text = format!(
        "\
Subject     {subject}
Issuer      {issuer}{self_signed}
Names       {names}
Valid from  {not_before}
Valid to    {not_after}
Pin         {pin}

If that is your Enterprise Manager's certificate, trust it with
  --em-pin-sha256 {pin}
",
        subject = certificate.subject,
        issuer = certificate.issuer,
        self_signed = if certificate.subject == certificate.issuer {
            " (self-signed)"
        } else {
            ""
        },
        not_before = certificate.not_before,
        not_after = certificate.not_after,
        pin = certificate.pin,
    );
    say(io::stdout(), &text);
    Ok(ExitCode::SUCCESS)
}

/// Prints one sentence on what is wrong with the settings.
fn usage(sentence: &str) -> ExitCode {
    say(io::stderr(), &format!("error: {sentence}\n"));
    ExitCode::from(EXIT_USAGE)
}

/// Prints without panicking when nobody reads, as behind `| head`.
fn say(mut to: impl Write, text: &str) {
    drop(to.write_all(text.as_bytes()).and_then(|()| to.flush()));
}

/// Prints help and version as they are, and errors as one sentence.
fn explain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nothing to be done when standard output is closed.
        drop(error.print());
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        drop(error.print());
        return ExitCode::from(EXIT_USAGE);
    }
    usage(&sentence(error))
}
