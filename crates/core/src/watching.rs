//! Follows what happens in the repositories: notices, waits until it has settled, and carries it out.
//!
//! One task does the noticing. Looks at the disk run on threads that may block, loads on threads of their own, each
//! transaction beside the others: a model that takes a minute to load holds up nothing but the models tied to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_repository::{
    Action, Dependencies, Fingerprint, Patience, Scan, ScanFault, Survey, Transaction, Wanted, namespaces,
    plan, qualified_name, transactions,
};
use hippocamp_repository_watch::{Ear, FolderWatch, Owner, Quiet, Settling};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::InferenceServer;
use crate::jobs::composing_on_disk;
use crate::transact::Outcome;

/// How the repositories are followed.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// How often everything is looked at, whatever was noticed; `None` for never.
    pub poll: Option<Duration>,
    /// How long a change has to rest before it is acted on.
    pub quiet: Quiet,
    /// Whether the system is asked to tell of changes.
    pub events: bool,
}

impl Default for WatchSettings {
    fn default() -> Self {
        WatchSettings { poll: Some(Duration::from_secs(15)), quiet: Quiet::default(), events: true }
    }
}

/// A change that goes on for longer than this is told of, once: it keeps a model from being loaded.
const PATIENCE: Duration = Duration::from_secs(30);

impl InferenceServer {
    /// Follows the repositories, for [`ControlMode::Poll`](crate::ControlMode::Poll). Begins with what
    /// [`load_repositories`](InferenceServer::load_repositories) found, and never ends; to drop it is to stop.
    pub async fn watch(self: Arc<Self>, settings: WatchSettings) {
        let mut follower = Follower::new(self, settings).await;
        loop {
            follower.step().await;
        }
    }
}

/// The contents of a transaction's models, by which one is known that was tried before.
type Tried = Vec<(String, Option<Fingerprint>)>;

/// What is wrong with a repository, and with which model of it if it is one.
type Fault = (String, Option<String>);

struct Follower {
    server: Arc<InferenceServer>,
    settings: WatchSettings,
    /// Locked by one look at a time, on a thread that may block.
    eyes: Arc<Mutex<Eyes>>,
    ear: Ear,
    settling: Settling,
    next_poll: Option<Instant>,
    /// Repositories of which was told that links lead to them another way: what the next look finds there was told.
    led: BTreeSet<usize>,
    names: Names,
    /// What the last look found.
    scan: Scan,
    /// Contents that cannot be served, each told once.
    failed: BTreeSet<Tried>,
    /// What configs said of which models are composed of what, by the content in which they said it: one that cannot be
    /// served is planned at each step, and is not read again for it.
    composing: BTreeMap<String, (Option<Fingerprint>, BTreeSet<String>)>,
    running: JoinSet<(Transaction, Tried, Outcome)>,
    /// Models tied to transactions that run.
    busy: BTreeSet<String>,
    /// Faults of repositories that were told.
    told: BTreeSet<Fault>,
    restless: BTreeSet<String>,
}

/// The namespaces of the repositories, if there are any.
struct Names(Option<Vec<String>>);

impl Names {
    /// The names under which the model in that folder may be served.
    fn of(&self, repository: usize, folder: String) -> Vec<String> {
        let qualified = self.0.as_ref().map(|namespaces| qualified_name(&namespaces[repository], &folder));
        qualified.into_iter().chain([folder]).collect()
    }
}

/// What looks at disks and stores.
struct Eyes {
    survey: Survey,
    watch: FolderWatch,
    /// Contents, and ways to them, for which the folders of their models are watched.
    watched: BTreeMap<(usize, String), Fingerprint>,
}

impl Follower {
    async fn new(server: Arc<InferenceServer>, settings: WatchSettings) -> Follower {
        let (accepted, failed) = {
            let loaded = server.accounted_for();
            let models = server.models.lock();
            let accepted = models.first_look.clone();
            let failed = accepted.iter().filter(|(name, content)| {
                // What changed while it was read was not refused.
                let tried = models.entries.get(*name).is_some_and(|entry| entry.loads.failed > 0);
                tried && loaded.get(*name) != Some(content)
            });
            (accepted.clone(), failed.map(|(name, content)| vec![(name.clone(), Some(*content))]).collect())
        };
        let repositories = server.settings().repositories.clone();
        let names = Names(server.settings().model_namespacing.then(|| namespaces(&repositories)));
        let survey = Survey::new(repositories, server.scan_options(Patience::Short));
        let watch = if settings.events { FolderWatch::new() } else { FolderWatch::blind() };
        let mut follower = Follower {
            ear: watch.ear(),
            eyes: Arc::new(Mutex::new(Eyes { survey, watch, watched: BTreeMap::new() })),
            settling: Settling::new(accepted, settings.quiet),
            next_poll: None,
            led: BTreeSet::new(),
            names,
            scan: Scan::default(),
            failed,
            composing: BTreeMap::new(),
            running: JoinSet::new(),
            busy: BTreeSet::new(),
            told: BTreeSet::new(),
            restless: BTreeSet::new(),
            server,
            settings,
        };
        // What changed since the server looked is found by this look.
        follower.look(None).await;
        follower.act().await;
        info!("watching the model repositories");
        follower
    }

    /// Waits until there is something to do, and does it.
    async fn step(&mut self) {
        let due = self.settling.due().into_iter().chain(self.next_poll).min();
        let timer = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.ear.noticed() => self.take_notice(),
            () = timer => {}
            Some(done) = self.running.join_next() => match done {
                Ok((transaction, tried, outcome)) => self.ended(&transaction, tried, outcome),
                // It panicked, which was logged. Nobody knows of what, so that nothing waits for it any more.
                Err(_) => self.busy.clear(),
            },
        }
        let now = Instant::now();
        if self.next_poll.is_some_and(|due| now >= due) {
            self.look(None).await;
        } else {
            let names = self.settling.to_look_at(now);
            if !names.is_empty() {
                self.look(Some(names)).await;
            }
        }
        self.act().await;
    }

    fn take_notice(&mut self) {
        let noticed = self.ear.take();
        let now = Instant::now();
        if noticed.everything || !noticed.repositories.is_empty() {
            self.next_poll = Some(now);
        }
        self.led.extend(noticed.repositories);
        self.disturb(noticed.models, now);
    }

    fn disturb(&mut self, models: BTreeSet<(usize, String)>, now: Instant) {
        for (repository, folder) in models {
            for name in self.names.of(repository, folder) {
                self.settling.disturb(&name, now);
            }
        }
    }

    /// Looks at the models of these names, or at everything.
    async fn look(&mut self, names: Option<BTreeSet<String>>) {
        let everything = names.is_none();
        let eyes = Arc::clone(&self.eyes);
        let looked = tokio::task::spawn_blocking(move || {
            let (scan, changed) = eyes.lock().look(names.as_ref());
            (scan, changed, names)
        });
        let now = Instant::now();
        if everything {
            self.next_poll = self.settings.poll.map(|poll| now + poll);
        }
        // A panic in there was logged.
        let Ok((scan, mut changed, names)) = looked.await else { return };
        self.scan = scan;
        let now = Instant::now();
        if everything {
            let led = std::mem::take(&mut self.led);
            changed.retain(|(repository, _)| led.contains(repository));
            self.disturb(changed, now);
        }
        self.disturb(self.ear.being_written(now), now);
        self.tell_faults();
        // A name that is there twice is not served: nobody could say which of them is meant.
        self.settling.look(names.as_ref(), &self.scan.models, now);
        for name in self.settling.restless(PATIENCE, now) {
            if self.restless.insert(name.to_owned()) {
                warn!(
                    model = name,
                    "its files have been changing for {} s, it is loaded when they rest",
                    PATIENCE.as_secs()
                );
            }
        }
    }

    /// Tells what is wrong with the repositories, each fault once for as long as it lasts.
    fn tell_faults(&mut self) {
        let told = |fault: &ScanFault| (fault.to_string(), fault.model().map(str::to_owned));
        let faults: BTreeSet<Fault> = self.scan.faults.iter().map(told).collect();
        if !self.scan.faults.iter().any(ScanFault::is_of_repository) {
            self.server.repositories_are_readable();
        }
        for (fault, model) in faults.difference(&self.told) {
            warn!(model, "{fault}");
        }
        for (fault, model) in self.told.difference(&faults) {
            info!(model, "no longer so: {fault}");
        }
        self.told = faults;
    }

    /// Carries out what has settled, as far as nothing that is tied to it is unsettled or being carried out.
    async fn act(&mut self) {
        let settled = self.settling.settled();
        let mut wanted = self.settling.accepted().clone();
        for (name, content) in &settled {
            match content {
                Some(content) => drop(wanted.insert(name.clone(), *content)),
                None => drop(wanted.remove(name)),
            }
        }
        let loaded = self.server.accounted_for();
        let before = self.server.models.lock().dependencies.clone();
        let actions = plan(&loaded, &wanted, &Wanted::All);
        let acted: BTreeSet<&str> = actions.iter().map(Action::name).collect();
        // What settled as something that serves already needs no more than to be known.
        let known = settled.keys().filter(|name| !acted.contains(name.as_str())).cloned().collect();
        self.settling.accept(&known);
        if actions.is_empty() {
            return;
        }
        let changed = actions.iter().map(|action| action.name().to_owned());
        let changed = changed.map(|name| (wanted.get(&name).copied(), name)).collect();
        let after = self.dependencies_on_disk(before.clone(), changed).await;
        let unsettled = self.settling.unsettled();
        for transaction in transactions(actions, &before, &after) {
            let is_in = |names: &BTreeSet<String>| !names.is_disjoint(&transaction.tied);
            let tried: Tried = transaction
                .actions
                .iter()
                .map(|action| {
                    let name = action.name();
                    (name.to_owned(), wanted.get(name).copied())
                })
                .collect();
            if is_in(&unsettled) || is_in(&self.busy) || self.has_failed(&tried) {
                continue;
            }
            self.settling.accept(&tried.iter().map(|(name, _)| name.clone()).collect());
            self.begin(transaction, tried, wanted.clone(), after.clone());
        }
    }

    fn begin(
        &mut self,
        transaction: Transaction,
        tried: Tried,
        contents: BTreeMap<String, Fingerprint>,
        dependencies: Dependencies,
    ) {
        self.busy.extend(transaction.tied.iter().cloned());
        self.restless.retain(|name| !transaction.tied.contains(name));
        // What failed with other contents of these models will not come again.
        self.failed.retain(|failed| !failed.iter().any(|(name, _)| tried.iter().any(|(now, _)| now == name)));
        let server = Arc::clone(&self.server);
        self.running.spawn(async move {
            let outcome = server.transact(&transaction, &contents, &dependencies).await;
            (transaction, tried, outcome)
        });
    }

    fn ended(&mut self, transaction: &Transaction, tried: Tried, outcome: Outcome) {
        self.busy.retain(|name| !transaction.tied.contains(name));
        match outcome {
            Outcome::Done => {}
            Outcome::FailedTogether => drop(self.failed.insert(tried)),
            Outcome::Failed => {
                let loaded = self.server.accounted_for();
                let left = tried.into_iter().filter(|(name, content)| loaded.get(name) != content.as_ref());
                self.failed.extend(left.map(|each| vec![each]));
            }
            Outcome::Changed => {
                let now = Instant::now();
                for (name, _) in &tried {
                    self.settling.disturb(name, now);
                }
            }
        }
    }

    /// Whether just this was tried: together, or each of it.
    fn has_failed(&self, tried: &Tried) -> bool {
        let alone = |each: &(String, Option<Fingerprint>)| self.failed.contains(&vec![each.clone()]);
        self.failed.contains(tried) || tried.iter().all(alone)
    }

    /// What ensembles will be made of: as it is known, and as the configs of those say that changed.
    async fn dependencies_on_disk(
        &mut self,
        mut known: Dependencies,
        changed: Vec<(Option<Fingerprint>, String)>,
    ) -> Dependencies {
        // With namespaces another repository may change whom a step means.
        let may_change = self.names.0.is_some();
        self.composing.retain(|name, (then, _)| {
            !may_change && changed.iter().any(|(now, changed)| changed == name && now == then)
        });
        let unread: Vec<_> =
            changed.iter().filter(|(_, name)| !self.composing.contains_key(name)).cloned().collect();
        if !unread.is_empty() {
            let server = Arc::clone(&self.server);
            let read = tokio::task::spawn_blocking(move || {
                let read = unread.into_iter();
                read.map(|(now, name)| (now, composing_on_disk(&server, &name), name)).collect::<Vec<_>>()
            });
            for (now, composing, name) in read.await.unwrap_or_default() {
                self.composing.insert(name, (now, composing));
            }
        }
        for (name, (_, composing)) in &self.composing {
            known.set(name, composing.clone());
        }
        known
    }
}

/// Looks at what changes while it begins to be watched. What still changes then is told.
const MAX_GLANCES: usize = 3;

impl Eyes {
    /// Also tells which models are not what they were, or are reached another way.
    fn look(&mut self, names: Option<&BTreeSet<String>>) -> (Scan, BTreeSet<(usize, String)>) {
        if let Some(names) = names {
            for name in names {
                self.survey.look_for(name);
            }
        } else {
            self.look_at_all();
        }
        let mut changed = self.follow_folders();
        // What happened between the look and the watch, nobody tells.
        let mut unsure = changed.clone();
        for _ in 1..MAX_GLANCES {
            if unsure.is_empty() {
                break;
            }
            for (at, folder) in &unsure {
                self.survey.look_at(*at, folder);
            }
            unsure = self.follow_folders();
            changed.extend(unsure.iter().cloned());
        }
        self.watch.find_open_files();
        (self.survey.scan(), changed)
    }

    /// Watches the repositories and then looks at them: a model that comes in between is found, one that comes later is
    /// told of.
    fn look_at_all(&mut self) {
        self.survey.find_ways();
        for _ in 0..MAX_GLANCES {
            for (at, path) in self.survey.local_repositories() {
                let hops = self.survey.repository_hops(at);
                self.watch.set(&Owner::Repository(at), &[path.to_owned()], hops);
            }
            self.survey.look_at_all();
            if !self.survey.find_ways() {
                break;
            }
        }
    }

    /// Watches the folders of what is there now. Returns the models for which they may be others.
    fn follow_folders(&mut self) -> BTreeSet<(usize, String)> {
        let local = self.survey.local_places();
        let now: BTreeMap<(usize, String), Fingerprint> =
            local.map(|(at, folder, content)| ((at, folder.to_owned()), content)).collect();
        let mut changed = BTreeSet::new();
        for (place, content) in &now {
            if self.watched.get(place) != Some(content) {
                let (folders, hops) =
                    (self.survey.folders(place.0, &place.1), self.survey.hops(place.0, &place.1));
                self.watch.set(&Owner::Model(place.0, place.1.clone()), folders, hops);
                changed.insert(place.clone());
            }
        }
        for place in self.watched.keys().filter(|place| !now.contains_key(*place)) {
            self.watch.set(&Owner::Model(place.0, place.1.clone()), &[], &[]);
            changed.insert(place.clone());
        }
        self.watched = now;
        changed
    }
}
