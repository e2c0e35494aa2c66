#!/usr/bin/env bash
# Half a document that looks whole: .NET's XML writers end all open elements when `using` disposes them, also
# while an exception passes.
#
# Seen with Mono 6.8.0.105 (Debian 12; its System.Xml is Microsoft's reference source of .NET Framework).
# XmlSerializer writes a page of five rows, and a property of the third throws. One would guess that the reader
# gets a document that breaks off, or nothing. Seen: with XmlWriter.Create, XmlTextWriter and XmlDictionaryWriter the
# stream holds a well-formed document with three rows, of which the third lacks the element that threw and all
# behind it. Neither the end of the document nor its framing tells the reader that two rows are missing; only a count
# or an element that the page must end with does.
#
# Needs root for apt-get where mono-mcs is missing. Works in a temp folder. Fails if the behaviour changes.
set -euo pipefail
command -v mcs >/dev/null && [ -e /usr/lib/mono/4.5/System.Runtime.Serialization.dll ] || {
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends mono-mcs mono-runtime libmono-system-xml4.0-cil \
    libmono-system-runtime-serialization4.0-cil >/dev/null
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/page.cs" <<'CS'
using System;
using System.IO;
using System.Text;
using System.Xml;
using System.Xml.Serialization;

public class Row {
    [XmlAttribute] public int Number;
    public string Name = "row";
    public string State {
        get { if (Number == 3) throw new InvalidOperationException("no state"); return "Stopped"; }
        set { }
    }
    public string Result = "Success";
}

public class Page {
    public Row[] Rows = new Row[5];
}

static class Program {
    static void Main() {
        Try("XmlWriter.Create", stream => XmlWriter.Create(stream));
        Try("XmlTextWriter", stream => new XmlTextWriter(stream, new UTF8Encoding(false)));
        Try("XmlDictionaryWriter", stream => XmlDictionaryWriter.CreateTextWriter(stream));
    }

    static void Try(string name, Func<Stream, XmlWriter> writer) {
        var page = new Page();
        for (var i = 0; i < 5; i++) page.Rows[i] = new Row { Number = i + 1 };
        var stream = new MemoryStream();
        var thrown = false;
        try {
            using (var xml = writer(stream)) new XmlSerializer(typeof(Page)).Serialize(xml, page);
        } catch (InvalidOperationException) {
            thrown = true;
        }
        var document = new XmlDocument();
        document.Load(new MemoryStream(stream.ToArray()));
        var rows = document.GetElementsByTagName("Row").Count;
        var states = document.GetElementsByTagName("State").Count;
        Console.WriteLine("{0}: thrown {1}, well-formed, {2} rows, {3} states", name, thrown, rows, states);
    }
}
CS
mcs -out:"$folder/page.exe" -r:System.Xml.dll -r:System.Runtime.Serialization.dll "$folder/page.cs"
mono --version | head -n 1
mono "$folder/page.exe" | tee "$folder/seen"
diff - "$folder/seen" <<'EXPECTED'
XmlWriter.Create: thrown True, well-formed, 3 rows, 2 states
XmlTextWriter: thrown True, well-formed, 3 rows, 2 states
XmlDictionaryWriter: thrown True, well-formed, 3 rows, 2 states
EXPECTED
echo "as described"
