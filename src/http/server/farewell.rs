//! A client of HTTP/2 that ends its connection with an error: its streams are over, whether or not it closes the socket.

/// GOAWAY (RFC 9113, section 6.8): last stream, error code.
const GOAWAY: u8 = 7;
const HEAD: usize = 9;
const FIXED: usize = 8;

/// Looks at the frames that come for a GOAWAY with an error; everything else is passed over.
#[derive(Debug, Default)]
pub struct Farewell {
    /// What is still to come of the preface, or of a frame that is of no interest.
    skip: usize,
    /// The beginning of a frame: its head, and what a GOAWAY always has.
    begun: Vec<u8>,
    said: bool,
}

impl Farewell {
    /// For a connection whose first bytes are a preface of this length.
    #[must_use]
    pub fn after_preface(len: usize) -> Self {
        Self { skip: len, ..Self::default() }
    }

    /// Whether the client has said so, these bytes included.
    pub fn said(&mut self, mut bytes: &[u8]) -> bool {
        while !self.said && !bytes.is_empty() {
            if self.skip > 0 {
                let n = self.skip.min(bytes.len());
                self.skip -= n;
                bytes = &bytes[n..];
                continue;
            }
            self.begun.push(bytes[0]);
            bytes = &bytes[1..];
            let len = match self.begun[..] {
                [a, b, c, ..] if self.begun.len() >= HEAD => {
                    usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
                }
                _ => continue,
            };
            let wanted = if self.begun[3] == GOAWAY && len >= FIXED { FIXED } else { 0 };
            if self.begun.len() < HEAD + wanted {
                continue;
            }
            self.said = wanted > 0 && self.begun[HEAD + 4..] != [0; 4];
            self.skip = len - wanted;
            self.begun.clear();
        }
        self.said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![len[1], len[2], len[3], kind, 0, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn only_a_farewell_with_an_error_is_one() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let preface = bytes.len();
        bytes.extend(frame(4, &[]));
        // Data that looks like one, one without an error, and one that is too short to be one.
        bytes.extend(frame(0, &frame(GOAWAY, &[1; 8])));
        bytes.extend(frame(GOAWAY, &[0, 0, 0, 1, 0, 0, 0, 0, b'x', b'y']));
        bytes.extend(frame(GOAWAY, &[1; 7]));
        bytes.extend(frame(0, &[7; 70_000]));
        let quiet = bytes.len();
        bytes.extend(frame(GOAWAY, &[0, 0, 0, 0, 0, 0, 0, 8]));
        for size in [1, 2, 5, 9, 17, 1_000, bytes.len()] {
            let mut looked = Farewell::after_preface(preface);
            assert!(!bytes[..quiet].chunks(size).any(|piece| looked.said(piece)), "{size}");
            assert!(bytes[quiet..].chunks(size).any(|piece| looked.said(piece)), "{size}");
        }
    }
}
