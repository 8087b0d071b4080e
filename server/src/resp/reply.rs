//! Replies, in version 2 or 3 of the protocol.

/// Writes replies behind what is there.
pub struct Reply<'a> {
    /// Where they go.
    pub out: &'a mut Vec<u8>,
    /// Whether the client speaks version 3.
    pub is_resp3: bool,
}

impl Reply<'_> {
    fn head(&mut self, kind: u8, number: i64) {
        self.out.push(kind);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// A status, such as `OK`.
    pub fn simple(&mut self, text: &str) {
        self.out.push(b'+');
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// `OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// An error. It begins with its code; ends of lines in it become spaces.
    pub fn error(&mut self, text: &str) {
        self.out.push(b'-');
        self.out.extend(text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
        self.out.extend_from_slice(b"\r\n");
    }

    /// A number.
    #[inline]
    pub fn int(&mut self, number: i64) {
        self.head(b':', number);
    }

    /// A length or count.
    #[inline]
    pub fn count(&mut self, number: usize) {
        self.int(number as i64);
    }

    /// 1 or 0.
    pub fn flag(&mut self, yes: bool) {
        self.int(i64::from(yes));
    }

    /// A string of bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 32);
        self.head(b'$', bytes.len() as i64);
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A string of bytes, or none.
    pub fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// No string.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(if self.is_resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// No array.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(if self.is_resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// Says that this many replies follow.
    pub fn array(&mut self, len: usize) {
        self.head(b'*', len as i64);
    }

    /// Says that this many pairs of replies follow.
    pub fn map(&mut self, len: usize) {
        if self.is_resp3 { self.head(b'%', len as i64) } else { self.head(b'*', len as i64 * 2) }
    }

    /// Says that this many replies follow, in no order.
    pub fn set(&mut self, len: usize) {
        self.head(if self.is_resp3 { b'~' } else { b'*' }, len as i64);
    }

    /// Says that this many replies follow that nobody asked for.
    pub fn push(&mut self, len: usize) {
        self.head(if self.is_resp3 { b'>' } else { b'*' }, len as i64);
    }

    /// Text for people.
    pub fn verbatim(&mut self, text: &str) {
        if self.is_resp3 {
            self.head(b'=', text.len() as i64 + 4);
            self.out.extend_from_slice(b"txt:");
            self.out.extend_from_slice(text.as_bytes());
            self.out.extend_from_slice(b"\r\n");
        } else {
            self.bulk(text.as_bytes());
        }
    }

    /// Strings.
    pub fn bulks<T: AsRef<[u8]>>(&mut self, items: &[T]) {
        self.array(items.len());
        for item in items {
            self.bulk(item.as_ref());
        }
    }
}
