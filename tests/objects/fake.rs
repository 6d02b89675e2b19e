//! A small S3 in memory: for what a real one does not do when a test wants it. It keeps its word, unless a lie is asked for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use lockd::clock::{Clock, SystemClock};

use super::serving::{Answers, Serving, serve};

/// How a store lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Writes whatever the conditions say: services that do not know the headers.
    IgnoresConditions,
    /// Looks first and writes afterwards: of writers at the same time several win.
    Races,
    /// A delete takes the rest of the folder with it.
    ForgetsAfterDelete,
    /// The ETag is a hash of the body, as S3's own often is.
    SameEtagForSameBytes,
    /// The ETag is the length of the body.
    SameEtagForSameLength,
    /// A match on a key that is not there succeeds.
    MatchesMissing,
    /// No lie: a rule deletes what is written, and every answer says so.
    Expires,
}

/// What becomes of a request instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused with this status and code, and not done.
    Refused(u16, &'static str),
    /// It is done, and answered with this status.
    Hidden(u16),
    /// It is done, and the connection breaks off.
    Cut,
    /// It is not done, and the connection breaks off.
    CutBefore,
}

#[derive(Clone, Debug)]
struct Object {
    body: Bytes,
    etag: String,
    written: SystemTime,
}

#[derive(Default)]
struct Content {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, BTreeMap<u32, Bytes>>,
    last: u64,
}

/// The service: one bucket, [`BUCKET`], addressed by path. It asks for no credentials.
#[derive(Default)]
pub struct Fake {
    lie: Option<Lie>,
    content: Mutex<Content>,
    log: Mutex<Vec<String>>,
    faults: Mutex<VecDeque<(Method, Fault)>>,
    last_put: Mutex<HeaderMap>,
    unchanged: AtomicUsize,
}

pub const BUCKET: &str = "fake";

/// One that keeps its word.
pub async fn honest() -> Serving<Fake> {
    serve(Fake::default()).await
}

/// One that lies.
pub async fn liar(lie: Lie) -> Serving<Fake> {
    serve(Fake { lie: Some(lie), ..Fake::default() }).await
}

impl Fake {
    /// The requests since the last call: method, name of the object, and query.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    /// The headers of the last object that was put.
    pub fn headers_of_last_put(&self) -> HeaderMap {
        self.last_put.lock().unwrap().clone()
    }

    /// How often an object was not sent, because whoever asked had it.
    pub fn unchanged(&self) -> usize {
        self.unchanged.load(Ordering::SeqCst)
    }

    /// The next request with this method goes wrong.
    pub fn fail(&self, method: Method, fault: Fault) {
        self.faults.lock().unwrap().push_back((method, fault));
    }

    /// Whether every fault has come.
    pub fn all_came(&self) -> bool {
        self.faults.lock().unwrap().is_empty()
    }

    /// The names of all objects, and the uploads that were begun and neither completed nor aborted.
    pub fn names(&self) -> (Vec<String>, usize) {
        let content = self.content();
        (content.objects.keys().cloned().collect(), content.uploads.len())
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap()
    }

    fn fault(&self, method: &Method) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let due = faults.front().is_some_and(|(wanted, _)| wanted == method);
        due.then(|| faults.pop_front()).flatten().map(|(_, fault)| fault)
    }

    async fn done(&self, name: &str, query: &BTreeMap<String, String>, request: &Request<Bytes>) -> Response<Bytes> {
        let upload = query.get("uploadId");
        match (request.method().as_str(), upload) {
            ("GET", _) if name.is_empty() => self.list(query),
            ("GET" | "HEAD", _) => self.get(name, request.headers()),
            ("PUT", Some(upload)) => self.part(upload, &query["partNumber"], request.body()),
            ("PUT", None) => self.put(name, request.headers(), request.body().clone()).await,
            ("POST", None) => self.begin(),
            ("POST", Some(upload)) => self.complete(name, upload),
            ("DELETE", Some(upload)) => self.abort(upload),
            ("DELETE", None) => self.delete(name),
            _ => refusal(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }

    async fn put(&self, name: &str, headers: &HeaderMap, body: Bytes) -> Response<Bytes> {
        {
            let mut content = self.content();
            if let Some(refused) = self.refused(content.objects.get(name), headers) {
                return refused;
            }
            if self.lie != Some(Lie::Races) {
                return self.write(&mut content, name, body);
            }
        }
        let clock: &dyn Clock = &SystemClock;
        clock.sleep(Duration::from_millis(3)).await;
        self.write(&mut self.content(), name, body)
    }

    fn refused(&self, present: Option<&Object>, headers: &HeaderMap) -> Option<Response<Bytes>> {
        if self.lie == Some(Lie::IgnoresConditions) {
            return None;
        }
        let wanted = headers.get("if-match").map(|etag| etag.to_str().unwrap());
        match (wanted, present) {
            (Some(wanted), Some(present)) if wanted == present.etag => None,
            (Some(_), None) if self.lie == Some(Lie::MatchesMissing) => None,
            (Some(_), None) => Some(refusal(StatusCode::NOT_FOUND, "NoSuchKey")),
            (None, Some(_)) if !headers.contains_key("if-none-match") => None,
            (None, None) => None,
            (_, Some(_)) => Some(refusal(StatusCode::PRECONDITION_FAILED, "PreconditionFailed")),
        }
    }

    fn write(&self, content: &mut Content, name: &str, body: Bytes) -> Response<Bytes> {
        content.last += 1;
        let etag = match self.lie {
            Some(Lie::SameEtagForSameBytes) => {
                let sum = ring::digest::digest(&ring::digest::SHA256, &body);
                format!("\"{}\"", hex::encode(sum))
            }
            Some(Lie::SameEtagForSameLength) => format!("\"{}\"", body.len()),
            _ => format!("\"e{}\"", content.last),
        };
        content.objects.insert(name.to_owned(), Object { body, etag: etag.clone(), written: now() });
        Response::builder().header("etag", etag).body(Bytes::new()).unwrap()
    }

    fn get(&self, name: &str, headers: &HeaderMap) -> Response<Bytes> {
        let Some(object) = self.content().objects.get(name).cloned() else {
            return refusal(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        let answer = Response::builder()
            .header("etag", &object.etag)
            .header("last-modified", httpdate::fmt_http_date(object.written))
            .header("date", httpdate::fmt_http_date(now()));
        let answer = match self.lie {
            Some(Lie::Expires) => answer.header("x-amz-expiration", "expiry-date=\"soon\", rule-id=\"tidy\""),
            _ => answer,
        };
        if headers.get("if-none-match").is_some_and(|etag| etag.to_str().unwrap() == object.etag) {
            self.unchanged.fetch_add(1, Ordering::SeqCst);
            return answer.status(StatusCode::NOT_MODIFIED).body(Bytes::new()).unwrap();
        }
        let len = object.body.len();
        let Some(range) = headers.get("range").map(|range| range.to_str().unwrap()) else {
            return answer.body(object.body).unwrap();
        };
        let (begin, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let begin: usize = begin.parse().unwrap();
        let end = end.parse().map_or(len, |last: usize| (last + 1).min(len));
        if begin >= len {
            return refusal(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
        }
        let answer = answer.header("content-range", format!("bytes {begin}-{}/{len}", end - 1));
        answer.status(StatusCode::PARTIAL_CONTENT).body(object.body.slice(begin..end)).unwrap()
    }

    fn delete(&self, name: &str) -> Response<Bytes> {
        let mut content = self.content();
        content.objects.remove(name);
        if self.lie == Some(Lie::ForgetsAfterDelete) {
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            content.objects.retain(|other, _| !other.starts_with(&folder));
        }
        empty(StatusCode::NO_CONTENT)
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Response<Bytes> {
        let none = String::new();
        let prefix = query.get("prefix").unwrap_or(&none);
        let after = query.get("start-after").unwrap_or(&none);
        let content = self.content();
        let found = content.objects.iter().filter(|(name, _)| name.starts_with(prefix) && *name > after);
        let entries: String = found
            .map(|(name, object)| {
                format!(
                    "<Contents><Key>{name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                    object.etag,
                    object.body.len()
                )
            })
            .collect();
        xml(&format!("<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"))
    }

    fn begin(&self) -> Response<Bytes> {
        let mut content = self.content();
        content.last += 1;
        let id = format!("u{}", content.last);
        content.uploads.insert(id.clone(), BTreeMap::new());
        xml(&format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"))
    }

    fn part(&self, upload: &str, number: &str, body: &Bytes) -> Response<Bytes> {
        let mut content = self.content();
        let Some(parts) = content.uploads.get_mut(upload) else {
            return refusal(StatusCode::NOT_FOUND, "NoSuchUpload");
        };
        parts.insert(number.parse().unwrap(), body.clone());
        Response::builder().header("etag", format!("\"p{number}\"")).body(Bytes::new()).unwrap()
    }

    fn complete(&self, name: &str, upload: &str) -> Response<Bytes> {
        let mut content = self.content();
        let Some(parts) = content.uploads.remove(upload) else {
            return refusal(StatusCode::NOT_FOUND, "NoSuchUpload");
        };
        let body: Vec<u8> = parts.into_values().flatten().collect();
        self.write(&mut content, name, body.into());
        xml("<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>")
    }

    fn abort(&self, upload: &str) -> Response<Bytes> {
        self.content().uploads.remove(upload);
        empty(StatusCode::NO_CONTENT)
    }
}

impl Answers for Fake {
    async fn answer(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        let path = decoded(request.uri().path());
        let (bucket, name) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        let query = request.uri().query().unwrap_or_default();
        self.log.lock().unwrap().push(format!("{} {name} {query}", request.method()).trim_end().to_owned());
        if request.method() == Method::PUT {
            *self.last_put.lock().unwrap() = request.headers().clone();
        }
        if bucket != BUCKET {
            return Some(refusal(StatusCode::NOT_FOUND, "NoSuchBucket"));
        }
        let fields = query.split('&').filter(|field| !field.is_empty());
        let query = fields.map(|field| field.split_once('=').unwrap_or((field, "")));
        let query = query.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
        match self.fault(request.method()) {
            Some(Fault::Refused(status, code)) => Some(refusal(StatusCode::from_u16(status).unwrap(), code)),
            Some(Fault::CutBefore) => None,
            Some(Fault::Cut) => {
                self.done(name, &query, &request).await;
                None
            }
            Some(Fault::Hidden(status)) => {
                self.done(name, &query, &request).await;
                Some(empty(StatusCode::from_u16(status).unwrap()))
            }
            None => Some(self.done(name, &query, &request).await),
        }
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(SystemClock.wall().0)
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [a, b, more @ ..]) => {
                out.extend(hex::decode([*a, *b]).unwrap());
                rest = more;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(out).unwrap()
}

fn empty(status: StatusCode) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::new()).unwrap()
}

fn refusal(status: StatusCode, code: &str) -> Response<Bytes> {
    let body = format!("<Error><Code>{code}</Code></Error>");
    Response::builder().status(status).body(Bytes::from(body)).unwrap()
}

fn xml(body: &str) -> Response<Bytes> {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{body}");
    Response::builder().header("content-type", "application/xml").body(Bytes::from(text)).unwrap()
}
