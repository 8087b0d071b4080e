var indexSectionsWithContent =
{
  0: "abcdefghiklmnoprstvw",
  1: "befikoprs",
  2: "f",
  3: "f",
  4: "bcdefghiklmnoprstvw",
  5: "abcdefhiklmnoprstv",
  6: "flmv",
  7: "f",
  8: "f"
};

var indexSectionNames =
{
  0: "all",
  1: "classes",
  2: "namespaces",
  3: "files",
  4: "functions",
  5: "variables",
  6: "typedefs",
  7: "defines",
  8: "pages"
};

var indexSectionLabels =
{
  0: "All",
  1: "Data Structures",
  2: "Namespaces",
  3: "Files",
  4: "Functions",
  5: "Variables",
  6: "Typedefs",
  7: "Macros",
  8: "Pages"
};

