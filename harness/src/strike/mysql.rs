//! What is done to the database through SQL, with the account of its administrator.
//!
//! Invariant: global variables get their old values back, also after a failure half-way: by new
//! connections, several times if need be. Of the sessions of the run's account only the engine's
//! count: the harness's own monitor has one, too.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error};

use super::{Outcome, Strike, both};
use crate::environment::{Service, admin_url, block_on, monitor_session};

/// The longest wait for one statement.
const CALL_LIMIT: Duration = Duration::from_secs(15);
/// How often something is changed back, until that succeeds.
const UNDO_TRIES: u32 = 4;
const UNDO_PAUSE: Duration = Duration::from_millis(500);
/// The longest wait for an effect on the engine.
const EFFECT_LIMIT: Duration = Duration::from_secs(40);
/// The table of transactions is a cache that is made anew only if nobody looked for 100 ms.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// The smallest packet that takes any row of the job: larger batches have to be split.
const SMALL_PACKET_BYTES: u64 = 16 * 1024;
/// Ten rows. Ten thousand make our transaction heavier than the engine's: the lighter one is the
/// victim.
const TEN: &str = "(SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL \
                   SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL \
                   SELECT 8 UNION ALL SELECT 9)";

/// An administrator's connection with a limit for each call.
struct Admin(Conn);

impl Admin {
    async fn connect(service: &Service) -> Result<Self, String> {
        let connect = Conn::from_url(admin_url(&service.direct()));
        limited(connect).await.map(Self)
    }

    async fn run(&mut self, sql: &str) -> Result<(), String> {
        limited(self.0.query_drop(sql)).await
    }

    async fn ask(&mut self, sql: &str) -> Result<u64, String> {
        limited(self.0.query_first::<u64, _>(sql)).await.map(Option::unwrap_or_default)
    }

    /// The sessions of the run's account.
    async fn sessions(&mut self) -> Result<BTreeSet<u64>, String> {
        let list = "SELECT id FROM information_schema.processlist WHERE user = 'storm'";
        let ids: Vec<u64> = limited(self.0.query(list)).await?;
        Ok(ids.into_iter().collect())
    }

    /// The same without the monitor's. One that begins is not known as the monitor's at once: only
    /// those count that two looks see.
    async fn engine_sessions(&mut self) -> Result<u64, String> {
        let mut first = self.sessions().await?;
        tokio::time::sleep(LOOK_EVERY).await;
        let second = self.sessions().await?;
        first.retain(|id| second.contains(id));
        first.remove(&monitor_session());
        Ok(first.len() as u64)
    }

    /// Ends every session of the run's account: variables of sessions are taken at their start.
    async fn end_sessions(&mut self) -> Result<(), String> {
        for id in self.sessions().await? {
            // One that ended meanwhile is unknown, and that is as good.
            let _ = self.run(&format!("KILL {id}")).await;
        }
        Ok(())
    }

    /// Sessions of the engine after so long, or later when there is none yet: it may be getting over
    /// another fault.
    async fn sessions_begun(&mut self, lasts: Duration) -> Result<u64, String> {
        let begun = Instant::now();
        tokio::time::sleep(lasts).await;
        loop {
            // One look: those of an engine that fails with them are short. One may be the monitor's.
            let seen = (self.sessions().await?.len() as u64).saturating_sub(1);
            if seen > 0 || begun.elapsed() > lasts + EFFECT_LIMIT {
                return Ok(seen);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Deadlocks since the server's start; MariaDB and MySQL count them in different places.
    async fn deadlocks(&mut self) -> Result<u64, String> {
        let status = "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'";
        if let Some((_, count)) = limited(self.0.query_first::<(String, u64), _>(status)).await? {
            return Ok(count);
        }
        let metric = "SELECT count FROM information_schema.innodb_metrics \
                      WHERE name = 'lock_deadlocks'";
        self.ask(metric).await
    }

    async fn waiting(&mut self) -> Result<u64, String> {
        let sql = "SELECT COUNT(*) FROM information_schema.innodb_trx t \
                   JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
                   WHERE t.trx_state = 'LOCK WAIT' AND p.user = 'storm'";
        self.ask(sql).await
    }
}

async fn limited<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match tokio::time::timeout(CALL_LIMIT, call).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the database did not answer in {} s", CALL_LIMIT.as_secs())),
    }
}

fn run(work: impl Future<Output = Outcome>) -> Outcome {
    block_on(work).map_err(|error| error.what)?
}

/// Does `undo` until it succeeds, for a while.
async fn tried(mut undo: impl AsyncFnMut() -> Result<(), String>) -> Result<(), String> {
    let mut outcome = undo().await;
    for _ in 1..UNDO_TRIES {
        if outcome.is_err() {
            tokio::time::sleep(UNDO_PAUSE).await;
            outcome = undo().await;
        }
    }
    outcome
}

/// Does `work` while a global variable has another value.
async fn while_set<T>(
    service: &Service,
    (name, value): (&str, u64),
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let mut admin = Admin::connect(service).await?;
    let old = admin.ask(&format!("SELECT CAST(@@GLOBAL.{name} AS UNSIGNED)")).await?;
    let done = match admin.run(&format!("SET GLOBAL {name} = {value}")).await {
        Ok(()) => work.await,
        // It may be set although the answer did not arrive.
        Err(why) => Err(why),
    };
    let back = format!("SET GLOBAL {name} = {old}");
    let undone = tried(async || Admin::connect(service).await?.run(&back).await).await;
    both(done, undone.map_err(|why| format!("{name} was not set back to {old}: {why}")))
}

/// The same for a variable that sessions take at their start: those that began meanwhile end.
async fn while_sessions_have<T>(
    service: &Service,
    variable: (&str, u64),
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let done = while_set(service, variable, work).await;
    let ended = tried(async || Admin::connect(service).await?.end_sessions().await).await;
    both(done, ended)
}

/// A write is refused for a while.
pub(super) fn read_only(strike: &Strike, service: &Service, ms: u64) -> Outcome {
    let probe = format!("DELETE FROM {}_audit WHERE 1 = 0", strike.addresses.table_prefix);
    run(async {
        strike.struck();
        let seen = while_set(service, ("read_only", 1), async {
            let seen = as_the_engine(strike, &probe).await;
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(seen)
        });
        match seen.await? {
            Err(refusal) => Ok(format!("a write was refused: {refusal}")),
            Ok(()) => Err("a write of the engine's account went through".to_owned()),
        }
    })
}

async fn as_the_engine(strike: &Strike, sql: &str) -> Result<(), String> {
    let crate::environment::DatabaseAddress::Mysql(url) = &strike.addresses.database else {
        return Err("this is no MySQL".to_owned());
    };
    let mut session = limited(Conn::from_url(url)).await?;
    limited(session.query_drop(sql)).await
}

/// Sessions that begin meanwhile have to split their batches.
pub(super) fn small_packets(strike: &Strike, service: &Service, ms: u64) -> Outcome {
    let variable = ("max_allowed_packet", SMALL_PACKET_BYTES);
    run(async {
        strike.struck();
        let seen = while_sessions_have(service, variable, async {
            let mut admin = Admin::connect(service).await?;
            let ended = admin.engine_sessions().await?;
            admin.end_sessions().await?;
            Ok((ended, admin.sessions_begun(Duration::from_millis(ms)).await?))
        });
        match seen.await? {
            (ended @ 1.., new @ 1..) => Ok(format!(
                "{ended} sessions of the engine ended, {new} new ones took packets of \
                 {SMALL_PACKET_BYTES} bytes"
            )),
            (ended, new) => Err(format!("{ended} sessions of the engine ended, and {new} began")),
        }
    })
}

/// All rows of the run are locked for a while; sessions give up waiting after a second.
pub(super) fn lock_wait(strike: &Strike, service: &Service, ms: u64) -> Outcome {
    let table = format!("storm.{}_results", strike.addresses.table_prefix);
    let lasts = Duration::from_millis(ms);
    run(async {
        let variable = ("innodb_lock_wait_timeout", 1);
        let seen = while_sessions_have(service, variable, async {
            let mut admin = Admin::connect(service).await?;
            let mut holder = Admin::connect(service).await?;
            admin.end_sessions().await?;
            strike.struck();
            let begun = Instant::now();
            // A holder whose connection ends for an error is rolled back by the server.
            holder.run("START TRANSACTION").await?;
            holder.run(&format!("SELECT COUNT(*) FROM {table} FOR UPDATE")).await?;
            let mut most = 0;
            while begun.elapsed() < lasts || (most == 0 && begun.elapsed() < EFFECT_LIMIT) {
                most = most.max(admin.waiting().await?);
                tokio::time::sleep(LOOK_EVERY).await;
            }
            holder.run("ROLLBACK").await?;
            Ok(most)
        });
        match seen.await? {
            0 => Err("no transaction of the engine waited for a lock".to_owned()),
            most => Ok(format!("{most} transactions of the engine waited for locks at once")),
        }
    })
}

/// Locks what an engine's transaction waits for, then asks for what it holds.
pub(super) fn deadlock(strike: &Strike, service: &Service) -> Outcome {
    let prefix = strike.addresses.table_prefix.clone();
    run(async {
        let mut admin = Admin::connect(service).await?;
        let heavy = format!("storm.{prefix}_deadlock");
        admin.run(&format!("CREATE TABLE IF NOT EXISTS {heavy} (n INT PRIMARY KEY)")).await?;
        let begun = Instant::now();
        let mut outcome = Err("no transaction of the engine was caught in a deadlock".to_owned());
        let mut is_struck = false;
        while outcome.is_err() && begun.elapsed() < EFFECT_LIMIT {
            if !std::mem::replace(&mut is_struck, true) {
                strike.struck();
            }
            outcome = try_deadlock(service, &mut admin, &prefix).await;
        }
        let drop = format!("DROP TABLE IF EXISTS {heavy}");
        let dropped = tried(async || Admin::connect(service).await?.run(&drop).await).await;
        both(outcome, dropped)
    })
}

async fn try_deadlock(service: &Service, admin: &mut Admin, prefix: &str) -> Outcome {
    let table = format!("storm.{prefix}_results");
    let before = admin.deadlocks().await?;
    let mut holder = Admin::connect(service).await?;
    holder.run("START TRANSACTION").await?;
    holder.run("SET SESSION innodb_lock_wait_timeout = 2").await?;
    let fill = format!(
        "INSERT INTO storm.{prefix}_deadlock SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n \
         FROM {TEN} AS a, {TEN} AS b, {TEN} AS c, {TEN} AS d"
    );
    holder.run(&fill).await?;
    // The upper half of the rows: a batch that goes upwards holds some of the lower half.
    let upper = format!("SELECT COUNT(*) FROM {table} WHERE key_hash >= UNHEX('80') FOR UPDATE");
    holder.run(&upper).await?;
    let begun = Instant::now();
    while admin.waiting().await? == 0 {
        if begun.elapsed() > Duration::from_secs(2) {
            holder.run("ROLLBACK").await?;
            return Err("no transaction of the engine waited for a lock".to_owned());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let ours = holder.run(&format!("SELECT COUNT(*) FROM {table} FOR UPDATE")).await;
    let _ = holder.run("ROLLBACK").await;
    let after = admin.deadlocks().await?;
    match ours {
        Ok(()) if after > before => {
            Ok(format!("{} deadlocks, an engine's transaction was the victim", after - before))
        }
        Ok(()) => Err("the lock was granted without a deadlock".to_owned()),
        Err(why) => Err(format!("our own transaction was the victim: {why}")),
    }
}
