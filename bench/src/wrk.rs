//! The load of [`load`](crate::load) made by wrk (<https://github.com/wg/wrk>) in its place: a program that was not written here says
//! whether what ours reads can be believed.

use crate::{load::Tell, machine};
use std::{
    env, fs,
    net::SocketAddr,
    process::{self, Command},
};

/// The environment's word for it: the program to run.
const PROGRAM: &str = "BENCH_WRK";
/// Of a line of its output that [`SCRIPT`] writes.
const MARK: &str = "told:";
/// What wrk has no option for: numbers to be read by a program, the thousandth among them. Latencies are in microseconds.
const SCRIPT: &str = r#"
done = function(summary, latency, requests)
    local errors = summary.errors
    io.write("told: ", summary.requests, " ", summary.duration, " ", latency:percentile(50), " ", latency:percentile(99), " ",
        latency:percentile(99.9), " ", errors.connect + errors.read + errors.write + errors.status + errors.timeout, "\n")
end
"#;

/// What a run of wrk told.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Told {
    requests: f64,
    micros: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    errors: f64,
}

/// The program, if the environment names one.
pub(crate) fn program() -> Option<String> {
    env::var(PROGRAM).ok().filter(|program| !program.is_empty())
}

/// What `tell` asks for, of a load of whole seconds, at least one, after one of a second.
///
/// # Errors
/// If the program can't be run, or the server does not answer as it should.
pub(crate) fn load(
    program: &str,
    addr: SocketAddr,
    connections: usize,
    ms: u64,
    tell: Tell,
) -> Result<f64, String> {
    let script = env::temp_dir().join(format!("bench-wrk-{}.lua", process::id()));
    fs::write(&script, SCRIPT).map_err(|error| format!("{}: {error}", script.display()))?;
    let run = |seconds: u64| {
        let mut command = Command::new(program);
        let threads = machine::cpus().min(connections);
        command.arg("-t").arg(threads.to_string()).arg("-c").arg(connections.to_string());
        command.arg("-d").arg(format!("{seconds}s")).arg("-s").arg(&script).arg(format!("http://{addr}/"));
        let out = command.output().map_err(|error| format!("{PROGRAM}={program}: {error}"))?;
        let text = String::from_utf8_lossy(&out.stdout);
        read(&text).ok_or_else(|| format!("{program}: {text}{}", String::from_utf8_lossy(&out.stderr)))
    };
    let told = run(1).and_then(|warm| Ok((warm, run((ms / 1000).max(1))?)));
    _ = fs::remove_file(&script);
    let (warm, told) = told?;
    if told.errors > 0.0 {
        return Err(format!("{program} counts {} errors", told.errors));
    }
    Ok(match tell {
        Tell::Rate => told.requests / told.micros * 1e6,
        Tell::P50 => told.p50,
        Tell::P99 => told.p99,
        Tell::P999 => told.p999,
        Tell::Cpu => warm.requests + told.requests,
    })
}

fn read(output: &str) -> Option<Told> {
    let line = output.lines().find_map(|line| line.strip_prefix(MARK))?;
    let numbers: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let [requests, micros, p50, p99, p999, errors] = numbers[..] else { return None };
    Some(Told { requests, micros, p50, p99, p999, errors })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_script_is_found_among_others() {
        let output = "Running 1s test\n  2 threads and 64 connections\ntold: 9000 1000000 120 800 1500 0\n";
        let told = Told { requests: 9000.0, micros: 1e6, p50: 120.0, p99: 800.0, p999: 1500.0, errors: 0.0 };
        assert_eq!(read(output), Some(told));
        assert_eq!(read("unable to connect to 127.0.0.1:1 Connection refused\n"), None);
        assert_eq!(read("told: 1 2\n"), None);
    }
}
