// 怎麼收的錢，照合約上的代碼。攤位和看板說的一樣。
export const methods = {
  cash: "現金",
  confirmed_elsewhere: "已在別處付清",
  promise: "賒帳",
  authorized_online: "線上授權",
};
